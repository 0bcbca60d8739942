
2
xPlaceholder*
dtype0*
shape
:

n15_FusedBatchNormEx"Ú