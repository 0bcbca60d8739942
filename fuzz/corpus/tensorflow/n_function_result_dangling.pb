
2
xPlaceholder*
dtype0*
shape
:
&
callPartitionedCallx*

fR
f#
!

f
x
r"
rnothing:y:0"Ú