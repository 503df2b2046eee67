# rusternetes_embed_text(TARGET NAMESPACE name FILE): defines `extern const std::string_view name` of
# rusternetes::NAMESPACE in a generated source, and appends that source to the target.
function(rusternetes_embed_text target namespace name file)
  set(source ${CMAKE_SOURCE_DIR}/templates/${file})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  file(READ ${source} text)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp)
  file(CONFIGURE OUTPUT ${out} CONTENT
    "#include <string_view>\nnamespace rusternetes::${namespace} {\nextern const std::string_view ${name};\nconst std::string_view ${name} = R\"template(${text})template\";\n}\n"
    @ONLY)
  target_sources(${target} PRIVATE ${out})
endfunction()
