#include "launcher/hold.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "certs/file.h"
#include "launcher/file_wait.h"

namespace rusternetes::launcher {

namespace json = boost::json;
namespace {
constexpr std::size_t most_command_bytes = 1 << 20;
}

std::string life_of(int pid) {
  const auto stat = certs::read_text(fmt::format("/proc/{}/stat", pid), 4096);
  const auto boot = certs::read_text("/proc/sys/kernel/random/boot_id", 128);
  if (!stat || !boot) return {};
  // Field 22, the start time; the name in field 2 may hold spaces, so counting begins after its last
  // parenthesis.
  const auto name_end = stat->rfind(')');
  if (name_end == std::string::npos) return {};
  std::size_t at = name_end + 2;
  for (int field = 3; field < 22 && at != std::string::npos; ++field) {
    at = stat->find(' ', at);
    if (at != std::string::npos) ++at;
  }
  if (at == std::string::npos) return {};
  return fmt::format("{} {} {}", boot->substr(0, boot->find('\n')), pid,
                     stat->substr(at, stat->find(' ', at) - at));
}

std::filesystem::path command_file_of(const std::filesystem::path& file) {
  return file.parent_path() / "command.json";
}

Result<> write_command(const std::filesystem::path& file, const std::vector<std::string>& command) {
  json::array words;
  for (const std::string& word : command) words.emplace_back(word);
  const std::string text = json::serialize(words);
  const std::filesystem::path path = command_file_of(file);
  if (const auto old = certs::read_text(path, most_command_bytes); old && *old == text) return {};
  return certs::write_atomically(path, text, certs::private_mode);
}

namespace {

Result<std::vector<std::string>> read_command(const std::filesystem::path& file) {
  const std::filesystem::path path = command_file_of(file);
  RN_TRY(const std::string text, certs::read_text(path, most_command_bytes));
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  std::vector<std::string> words;
  if (!error && value.is_array())
    for (const json::value& word : value.get_array())
      if (word.is_string()) words.emplace_back(word.get_string());
  if (words.empty()) return internal_error(path.string() + " holds no command");
  return words;
}

}  // namespace

int run_hold(int argc, char** argv) {
  // The supervisor of a cluster that an earlier release started has the command behind "--".
  const bool has_words = argc >= 5 && std::strcmp(argv[3], "--") == 0;
  if (argc != 3 && !has_words) {
    std::fprintf(stderr, "hold-process: FILE expected\n");
    return 2;
  }
  const std::filesystem::path file = argv[2];
  const std::string life = life_of(::getppid());
  for (;;) {
    const auto released = wait_for_folder(file.parent_path(), std::chrono::hours(1), [&] {
      const auto text = certs::read_text(file, 4096);
      return text && !life.empty() && *text == life;
    });
    if (!released) {
      std::fprintf(stderr, "hold-process: %s\n", released.error().message.c_str());
      return 1;
    }
    if (*released) break;
  }
  auto command = read_command(file);
  if (!command && has_words) command = std::vector<std::string>(argv + 4, argv + argc);
  if (!command) {
    std::fprintf(stderr, "hold-process: %s\n", command.error().message.c_str());
    return 1;
  }
  const char* netns = std::getenv("RUSTERNETES_NODE_NETNS");
  std::vector<char*> words;
  for (std::string& word : *command) {
    if (word == "{node-netns}" && netns != nullptr) word = netns;
    words.push_back(word.data());
  }
  words.push_back(nullptr);
  ::execv(words.front(), words.data());
  std::fprintf(stderr, "hold-process: %s: %s\n", words.front(), std::strerror(errno));
  return 127;
}

}  // namespace rusternetes::launcher
