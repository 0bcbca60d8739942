
2
xPlaceholder*
dtype0*
shape
:

n3Split"Ú