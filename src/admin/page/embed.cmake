# embed.cmake - files to one C file: for each NAME.EXT an array page_NAME_EXT[] and its length, as page.h declares them.
#
#   cmake -DOUTPUT=FILE.c -DINPUTS=a.html,b.js -P embed.cmake
string(REPLACE "," ";" inputs "${INPUTS}")
set(text "#include \"admin/page.h\"\n")
foreach(input IN LISTS inputs)
  get_filename_component(name ${input} NAME)
  string(REPLACE "." "_" name ${name})
  file(READ ${input} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND text "const unsigned char page_${name}[] = { ${bytes} };\n"
    "const size_t page_${name}_len = sizeof(page_${name});\n")
endforeach()
file(WRITE ${OUTPUT} "${text}")
