
2
xPlaceholder*
dtype0*
shape
:
&
callPartitionedCallx*

fR
fP
&

f
x
r	
cgx"

rc:r:0
&

g
x
r	
cfx"

rc:r:0"Ú