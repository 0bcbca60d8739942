
2
xPlaceholder*
dtype0*
shape
:


n13Pad"Ú