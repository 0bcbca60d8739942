
2
xPlaceholder*
dtype0*
shape
:
&
callPartitionedCallx*

fR
f2


f
x
r"
rx


f
x
r"
rx"Ú