
2
xPlaceholder*
dtype0*
shape
:
#
callPartitionedCall*

fR
f


f
x
r"
rx"Ú