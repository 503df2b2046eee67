# Every library comes from Debian 12. Imported targets keep the names that the
# link arrows use; nothing is downloaded.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(OpenSSL 3 REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(CURL REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Catch2 2 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
foreach(module libnghttp2 libnftables libnl-3.0 libnl-route-3.0 libnetfilter_conntrack libarchive libzstd re2)
  string(REGEX REPLACE "[^a-zA-Z0-9]" "_" name ${module})
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${module})
endforeach()

# Without pkg-config files in Debian 12.
foreach(library wslay ldns)
  find_library(${library}_path ${library} REQUIRED)
  add_library(${library}::${library} UNKNOWN IMPORTED)
  set_target_properties(${library}::${library} PROPERTIES IMPORTED_LOCATION ${${library}_path})
endforeach()

# Debian's gRPC names re2's target, which Debian's re2 does not define.
if(NOT TARGET re2::re2)
  add_library(re2::re2 ALIAS PkgConfig::re2)
endif()
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
