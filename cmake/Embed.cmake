# cmake -DIN=file -DOUT=file.c -DNAME=symbol -P Embed.cmake: a file as "const unsigned char NAME[]; const unsigned long NAME_len".
file(READ ${IN} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR bytes "${digits} / 2")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," body "${hex}")
file(WRITE ${OUT} "extern const unsigned char ${NAME}[];\nextern const unsigned long ${NAME}_len;\nconst unsigned char ${NAME}[] = {${body}};\nconst unsigned long ${NAME}_len = ${bytes};\n")
