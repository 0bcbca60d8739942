
2
xPlaceholder*
dtype0*
shape
:

callPartitionedCallx

yRelucall"Ú