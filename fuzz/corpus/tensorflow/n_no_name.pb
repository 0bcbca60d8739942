
2
xPlaceholder*
dtype0*
shape
:
	Relux"Ú