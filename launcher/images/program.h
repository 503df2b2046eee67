#pragma once
// What a program needs beside itself: its dynamic loader, and the libraries which that loader finds.

#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"

namespace rusternetes::launcher::images {

struct ProgramNeeds {
  std::string interpreter;             // "/lib64/ld-linux-x86-64.so.2"; empty: the program is static
  std::vector<std::string> libraries;  // absolute paths, as the loader names them; sorted
};

// Asks the program's own loader (`LOADER --list PROGRAM`); the program itself does not run. BinaryMissing:
// there is no such file, it is no program for this machine, or a library of it is missing.
Result<ProgramNeeds> needs_of(const std::filesystem::path& program);

// The loader's answer, a line each: "NAME => PATH (ADDRESS)", "PATH (ADDRESS)" for itself, and "NAME
// (ADDRESS)" for what the kernel provides. BinaryMissing names what is "not found".
Result<std::vector<std::string>> parse_libraries(const std::filesystem::path& program,
                                                 const std::string& answer);

}  // namespace rusternetes::launcher::images
