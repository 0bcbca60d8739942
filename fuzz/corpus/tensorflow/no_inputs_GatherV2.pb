
2
xPlaceholder*
dtype0*
shape
:

n12GatherV2"Ú