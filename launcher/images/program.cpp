#include "launcher/images/program.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/process/args.hpp>
#include <boost/process/child.hpp>
#include <boost/process/env.hpp>
#include <boost/process/exe.hpp>
#include <boost/process/io.hpp>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

#include "launcher/images/errors.h"

namespace rusternetes::launcher::images {
namespace {

namespace bp = boost::process;
namespace fs = std::filesystem;

#if defined(__aarch64__)
constexpr unsigned machine = EM_AARCH64;
#else
constexpr unsigned machine = EM_X86_64;
#endif

template <class T>
bool read_at(std::ifstream& in, std::uint64_t offset, T& out) {
  in.seekg(static_cast<std::streamoff>(offset));
  return static_cast<bool>(in.read(reinterpret_cast<char*>(&out), sizeof out));
}

// Of the segment PT_INTERP; empty for a static program.
Result<std::string> interpreter_of(const fs::path& program) {
  const auto no_program = [&] {
    return binary_missing(fmt::format("{} is not a program for this machine", program.string()));
  };
  std::ifstream in(program, std::ios::binary);
  if (!in) return binary_missing(fmt::format("{} does not exist or cannot be read", program.string()));
  Elf64_Ehdr header{};
  if (!read_at(in, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != machine ||
      (header.e_type != ET_EXEC && header.e_type != ET_DYN) || header.e_phentsize != sizeof(Elf64_Phdr))
    return no_program();
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    if (!read_at(in, header.e_phoff + i * sizeof segment, segment)) return no_program();
    if (segment.p_type != PT_INTERP) continue;
    if (segment.p_filesz == 0 || segment.p_filesz > 4096) return no_program();
    std::string path(segment.p_filesz, '\0');
    in.seekg(static_cast<std::streamoff>(segment.p_offset));
    if (!in.read(path.data(), static_cast<std::streamsize>(path.size()))) return no_program();
    path.resize(std::strlen(path.c_str()));
    if (!path.starts_with('/')) return no_program();
    return path;
  }
  return std::string();
}

}  // namespace

Result<std::vector<std::string>> parse_libraries(const fs::path& program, const std::string& answer) {
  std::vector<std::string> out;
  std::istringstream lines(answer);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name, arrow, path;
    if (!(words >> name >> arrow)) continue;
    const bool is_found = arrow == "=>";
    if (is_found) words >> path;
    if (path == "not")
      return binary_missing(
          fmt::format("{} needs the library {}, which this host does not have", program.string(), name));
    if (path.starts_with('/')) out.push_back(path);
    if (!is_found && name.starts_with('/')) out.push_back(name);  // the loader itself
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Result<ProgramNeeds> needs_of(const fs::path& program) {
  ProgramNeeds needs;
  RN_TRY(needs.interpreter, interpreter_of(program));
  if (needs.interpreter.empty()) return needs;
  try {
    bp::ipstream answer;
    // Nothing of the caller's environment: LD_LIBRARY_PATH and LD_PRELOAD would be in the image's way.
    bp::environment nothing;
    bp::child loader(bp::exe = needs.interpreter, bp::args = {"--list", program.string()}, bp::env = nothing,
                     bp::std_in<bp::null, bp::std_out> answer, bp::std_err > bp::null);
    const std::string text{std::istreambuf_iterator<char>(answer), {}};
    loader.wait();
    RN_TRY(needs.libraries, parse_libraries(program, text));
    if (loader.exit_code() != 0)
      return binary_missing(fmt::format("{} does not load {}", needs.interpreter, program.string()));
  } catch (const bp::process_error& error) {
    return binary_missing(fmt::format("{}, the loader of {}, cannot be run: {}", needs.interpreter,
                                      program.string(), error.what()));
  }
  return needs;
}

}  // namespace rusternetes::launcher::images
