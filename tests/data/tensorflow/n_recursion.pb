
2
xPlaceholder*
dtype0*
shape
:
&
callPartitionedCallx*

fR
fG
E

f
x
r#
cPartitionedCallx*

fR
f"
r
c:output:0"Ú