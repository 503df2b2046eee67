#include "base/open_files.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

using rusternetes::raise_open_files;

TEST_CASE("the limit of open files is raised to the hard one, and a child has the old one") {
  rlimit original{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &original) == 0);
  REQUIRE(original.rlim_max > 256);
  rlimit low = original;
  low.rlim_cur = 256;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  raise_open_files();
  rlimit raised{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &raised) == 0);
  CHECK(raised.rlim_cur == original.rlim_max);
  CHECK(raised.rlim_max == original.rlim_max);
  const pid_t child = ::fork();
  if (child == 0) ::execl("/bin/sh", "sh", "-c", "test \"$(ulimit -Sn)\" = 256", nullptr), ::_exit(127);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  ::setrlimit(RLIMIT_NOFILE, &original);
}
