
2
xPlaceholder*
dtype0*
shape
:
(
cConst*
valueB"1234567

yAddxc"Ú