#include "launcher/hold.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "certs/file.h"
#include "launcher/file_wait.h"

namespace rusternetes::launcher {

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

int run_hold(int argc, char** argv) {
  if (argc < 5 || std::strcmp(argv[3], "--") != 0) {
    std::fprintf(stderr, "hold-process: FILE -- PROGRAM ARGS... expected\n");
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
  const char* netns = std::getenv("RUSTERNETES_NODE_NETNS");
  std::vector<char*> words;
  for (int i = 4; i < argc; ++i)
    words.push_back(std::strcmp(argv[i], "{node-netns}") == 0 && netns != nullptr ? const_cast<char*>(netns)
                                                                                  : argv[i]);
  words.push_back(nullptr);
  ::execv(words.front(), words.data());
  std::fprintf(stderr, "hold-process: %s: %s\n", words.front(), std::strerror(errno));
  return 127;
}

}  // namespace rusternetes::launcher
