# rusternetes_static_program(NAME a.cpp...) makes a small static binary: no libstdc++, no unwinding, no sanitizer, stripped.
# Sanitizers are taken off because such a program is measured in kilobytes and has no run-time library to lean on.
function(rusternetes_static_program name)
  add_executable(${name} ${ARGN})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -Os -g0 -fno-exceptions -fno-rtti -fno-asynchronous-unwind-tables
    -fno-unwind-tables -fno-stack-protector -fno-threadsafe-statics -ffunction-sections -fdata-sections
    -fno-sanitize=all -fno-pie)
  target_link_options(${name} PRIVATE -static -nostdlib++ -fno-sanitize=all -s -Wl,--gc-sections
    -Wl,--build-id=none -Wl,-z,norelro -Wl,--hash-style=gnu)
endfunction()

# rusternetes_embed(TARGET PROGRAM prefix) makes the library TARGET, whose function `rusternetes::PROGRAM_binary()`
# returns the bytes of PROGRAM; its header is prefix/TARGET.h.
function(rusternetes_embed target program prefix)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${target}.cpp)
  file(GENERATE OUTPUT ${source} CONTENT
"#include \"${prefix}/${target}.h\"

asm(R\"(
.section .rodata.${target},\"a\",%progbits
.balign 16
.local ${program}_bytes
.local ${program}_bytes_end
${program}_bytes:
.incbin \"$<TARGET_FILE:${program}>\"
${program}_bytes_end:
.previous
)\");

extern \"C\" {
extern const std::byte ${program}_bytes[];
extern const std::byte ${program}_bytes_end[];
}

namespace rusternetes {
std::span<const std::byte> ${program}_binary() {
  return {${program}_bytes, static_cast<std::size_t>(${program}_bytes_end - ${program}_bytes)};
}
}  // namespace rusternetes
")
  set(root ${CMAKE_BINARY_DIR}/include/${target})
  file(MAKE_DIRECTORY ${root}/${prefix})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR}/${target}.h ${root}/${prefix}/${target}.h SYMBOLIC)
  add_library(${target} STATIC ${source})
  target_include_directories(${target} PUBLIC ${root})
  target_link_libraries(${target} PRIVATE rusternetes_options)
  add_dependencies(${target} ${program})
  set_source_files_properties(${source} PROPERTIES
    GENERATED TRUE OBJECT_DEPENDS ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/${program})
endfunction()
