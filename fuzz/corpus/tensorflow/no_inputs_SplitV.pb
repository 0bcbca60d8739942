
2
xPlaceholder*
dtype0*
shape
:

n4SplitV"Ú