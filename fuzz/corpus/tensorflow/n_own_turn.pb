

mMergen

nNextIterationm

yRelum"Ú