// `rhino snapshot`, as it is typed.

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "snapshot_command_harness.h"
#include "snapshot_history.h"

using namespace rusternetes;
using namespace rusternetes::rhino;
using namespace rusternetes::rhino::testing;

TEST_CASE("the words export, status and import do what they say") {
  const Folder folder;
  std::filesystem::create_directory(folder.file("data"));
  {
    TestStore store(folder.file("data/store.db"));
    fill(store);
    auto busy =
        command({"snapshot", "export", "--data-dir", folder.file("data"), "--to", folder.file("snap")});
    CHECK(busy.code == 1);
    CHECK(busy.err.find("etcdctl snapshot save") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(folder.file("snap")));
  }
  auto exported =
      command({"snapshot", "export", "--data-dir", folder.file("data"), "--to", folder.file("snap")});
  CHECK(exported.code == 0);
  CHECK(exported.out.find("revision 7") != std::string::npos);
  struct stat info {};
  REQUIRE(::stat(folder.file("snap").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(info.st_size % 512 == 32);
  CHECK_FALSE(std::filesystem::exists(folder.file("snap.part")));
  auto twice =
      command({"snapshot", "export", "--data-dir", folder.file("data"), "--to", folder.file("snap")});
  CHECK(twice.code == 1);
  CHECK(twice.err.find("exists already") != std::string::npos);
  auto nowhere = command({"snapshot", "export", "--data-dir", folder.file("none"), "--to", folder.file("x")});
  CHECK(nowhere.code == 1);
  CHECK(nowhere.err.find("there is no store") != std::string::npos);

  auto status = command({"snapshot", "status", "--from", folder.file("snap"), "--output", "json"});
  CHECK(status.code == 0);
  CHECK(status.out.find(R"("revision":7,"totalKey":3,)") != std::string::npos);

  // The newest values, of what is still there.
  const auto got =
      command({"snapshot", "get", "--from", folder.file("snap"), "--prefix", "a", "--prefix", "c"});
  CHECK(got.code == 0);
  CHECK(got.out == "{\"key\":\"a\",\"value\":\"Mw==\"}\n{\"key\":\"c\",\"value\":\"MQ==\"}\n");
  CHECK(command({"snapshot", "get", "--from", folder.file("absent"), "--prefix", "/"}).code == 1);

  auto imported = command({"snapshot", "import", "--from", folder.file("snap"), "--data-dir",
                           folder.file("new/data"), "--bump-revision", "100"});
  CHECK(imported.code == 0);
  CHECK(imported.out.find("at revision 107") != std::string::npos);
  TestStore store(folder.file("new/data/store.db"));
  CHECK(store->current_revision() == 107);

  auto bad =
      command({"snapshot", "import", "--from", folder.file("absent"), "--data-dir", folder.file("other")});
  CHECK(bad.code == 1);
  CHECK_FALSE(std::filesystem::exists(folder.file("other")));
  CHECK(command({"snapshot", "import", "--from", "x", "--data-dir", "y", "--bump-revision", "-1"}).code > 0);
  CHECK(command({"snapshot"}).code > 0);
}
