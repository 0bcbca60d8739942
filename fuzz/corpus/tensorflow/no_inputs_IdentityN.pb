
2
xPlaceholder*
dtype0*
shape
:

n8	IdentityN"Ú