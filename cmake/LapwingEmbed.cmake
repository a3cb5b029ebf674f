# SPDX-License-Identifier: Apache-2.0
# Files inside a program, without external tools. When a file changes, the build configures again.

# lapwing_embed_files(TARGET NAME FOLDER): adds a source to TARGET that defines
# `std::span<const lapwing::http::StaticFile> lapwing::NAME()` with every file below FOLDER, at its path from FOLDER.
# NAME may be qualified, as hub::web_files. Declare the function in a header of your own.
function(lapwing_embed_files target name folder)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS LIST_DIRECTORIES false RELATIVE ${folder} ${folder}/*)
  list(SORT files)
  set(arrays "")
  set(rows "")
  set(index 0)
  foreach(file IN LISTS files)
    _lapwing_bytes(${folder}/${file} bytes)
    _lapwing_content_type(${file} type)
    string(APPEND arrays "constexpr unsigned char kFile${index}[] = {${bytes}};\n")
    string(APPEND rows "    StaticFile{\"/${file}\", \"${type}\", view(kFile${index}, sizeof kFile${index})},\n")
    math(EXPR index "${index} + 1")
  endforeach()
  string(REGEX REPLACE "::[^:]*$" "" scope "lapwing::${name}")
  string(REGEX REPLACE "^.*::" "" function "${name}")
  set(text "// Made by lapwing_embed_files from ${folder}.
#include \"shared/http/router.hpp\"
#include <array>
#include <span>
namespace ${scope} {
std::span<const http::StaticFile> ${function}();
namespace {
using http::StaticFile;
${arrays}std::string_view view(const unsigned char* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size == 0 ? 0 : size - 1};  // without the last 0
}
}  // namespace
std::span<const StaticFile> ${function}() {
  static const std::array<StaticFile, ${index}> files{
${rows}  };
  return files;
}
}  // namespace ${scope}
")
  string(REPLACE "::" "_" base "${name}")
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${base}.cpp)
  file(CONFIGURE OUTPUT ${out} CONTENT "@text@" @ONLY)
  target_sources(${target} PRIVATE ${out})
endfunction()

# lapwing_embed_text(TARGET NAME FILE): likewise `std::string_view lapwing::NAME()` with the file's text.
function(lapwing_embed_text target name file)
  _lapwing_bytes(${file} bytes)
  string(REGEX REPLACE "::[^:]*$" "" scope "lapwing::${name}")
  string(REGEX REPLACE "^.*::" "" function "${name}")
  set(text "// Made by lapwing_embed_text from ${file}.
#include <string_view>
namespace ${scope} {
std::string_view ${function}();
namespace {
constexpr unsigned char kText[] = {${bytes}};
}
std::string_view ${function}() { return {reinterpret_cast<const char*>(kText), sizeof kText - 1}; }
}  // namespace ${scope}
")
  string(REPLACE "::" "_" base "${name}")
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${base}.cpp)
  file(CONFIGURE OUTPUT ${out} CONTENT "@text@" @ONLY)
  target_sources(${target} PRIVATE ${out})
endfunction()

# The file as `0x48,0x65,...,0` in BYTES; configuring again when it changes.
function(_lapwing_bytes file bytes)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
  set(${bytes} "${hex}0" PARENT_SCOPE)
endfunction()

function(_lapwing_content_type file type)
  get_filename_component(extension "${file}" LAST_EXT)
  set(found application/octet-stream)
  if(extension STREQUAL ".html")
    set(found "text/html")
  elseif(extension STREQUAL ".js")
    set(found "text/javascript")
  elseif(extension STREQUAL ".css")
    set(found "text/css")
  elseif(extension STREQUAL ".svg")
    set(found "image/svg+xml")
  elseif(extension STREQUAL ".json")
    set(found "application/json")
  elseif(extension STREQUAL ".txt")
    set(found "text/plain")
  elseif(extension STREQUAL ".png")
    set(found "image/png")
  endif()
  if(found MATCHES "^text/")
    string(APPEND found "; charset=utf-8")
  endif()
  set(${type} "${found}" PARENT_SCOPE)
endfunction()
