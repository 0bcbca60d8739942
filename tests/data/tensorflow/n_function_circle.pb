

callfcall

yRelucall


f
x
r"
rx"Ú