

aRelub

bRelua

cRelub"Ú