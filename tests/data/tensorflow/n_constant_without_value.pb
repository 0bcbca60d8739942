
2
xPlaceholder*
dtype0*
shape
:


cConst

yAddxc"Ú