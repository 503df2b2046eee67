#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <boost/json/value.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "engine/image_builder.h"
#include "engine/json_lines.h"
#include "engine/json_read.h"
#include "engine/oom_log.h"
#include "engine/private_podman.h"
#include "engine/reference.h"
#include "engine/std_stream.h"

using namespace rusternetes;
using namespace rusternetes::engine;

TEST_CASE("image references are completed as the registries understand them") {
  CHECK(normalize_reference("busybox") == "docker.io/library/busybox:latest");
  CHECK(normalize_reference("busybox:1.36") == "docker.io/library/busybox:1.36");
  CHECK(normalize_reference("user/app") == "docker.io/user/app:latest");
  CHECK(normalize_reference("localhost/app:1") == "localhost/app:1");
  CHECK(normalize_reference("localhost:5000/app") == "localhost:5000/app:latest");
  CHECK(normalize_reference("index.docker.io/busybox") == "docker.io/library/busybox:latest");
  std::string digest = "sha256:" + std::string(64, 'a');
  CHECK(normalize_reference("quay.io/a/b@" + digest) == "quay.io/a/b@" + digest);
  CHECK(normalize_reference(digest) == digest);
  CHECK(normalize_reference(std::string(64, 'a')) == std::string(64, 'a'));
}

TEST_CASE("what is no image reference is refused by name") {
  for (const char* text : {"", "UPPER", "a b", "a//b", "-a", "a:", "a:b:c", "a@sha256:xyz", "a..b", "a___b",
                           "/a", "a/", "host:port/x", "a:tag with space", "UPPER/x y"}) {
    INFO(text);
    auto parsed = parse_reference(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().reason == reason::kInvalidImageName);
  }
}

TEST_CASE("a framed stream is taken apart whatever its pieces") {
  std::string bytes{"\1\0\0\0\0\0\0\3abc\2\0\0\0\0\0\0\2xy\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\1d",
                    8 + 3 + 8 + 2 + 8 + 8 + 1};
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    StdStreamDecoder decoder;
    std::map<StdStream, std::string> seen;
    for (std::size_t at = 0; at < bytes.size(); at += size)
      REQUIRE(decoder.feed(std::string_view(bytes).substr(at, size),
                           [&](StdStream stream, std::string_view text) { seen[stream] += text; }));
    CHECK(seen[StdStream::out] == "abcd");
    CHECK(seen[StdStream::err] == "xy");
  }
  StdStreamDecoder decoder;
  CHECK_FALSE(decoder.feed("no frame at all", [](StdStream, std::string_view) {}));
}

TEST_CASE("a stream of JSON objects is taken apart whatever its pieces") {
  std::string bytes = "{\"a\":\"}{\\\"\"}\r\n{\"a\":{\"b\":1}}{\"a\":3}\n";
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    JsonLines lines;
    int count = 0;
    for (std::size_t at = 0; at < bytes.size(); at += size)
      REQUIRE(lines.feed(std::string_view(bytes).substr(at, size), [&count](const boost::json::value& value) {
        ++count;
        CHECK(value.is_object());
      }));
    CHECK(count == 3);
  }
  JsonLines lines;
  CHECK_FALSE(lines.feed("Not Found", [](const boost::json::value&) {}));
  JsonLines endless;
  CHECK_FALSE(endless.feed("{\"a\":\"" + std::string(2 << 20, 'x'), [](const boost::json::value&) {}));
}

TEST_CASE("the kernel's OOM records name the container") {
  std::string id(64, 'b'), other(64, 'c');
  OomLog log("/dev/null");
  log.add_record(
      "6,1,2,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,oom_memcg=/"
      "kubepods/pod1,"
      "task_memcg=/kubepods/pod1/libpod-" +
      id + ",task=sh,pid=7,uid=0\n");
  log.add_record("6,1,2,-;something about " + other);
  CHECK(log.was_killed(id));
  CHECK_FALSE(log.was_killed(other));
  log.add_record("6,1,3,-;oom-kill:x,task_memcg=/a/docker-" + other + ".scope/inner,task=sh");
  CHECK(log.was_killed(other));
}

TEST_CASE("the OCI runtime fits the host's cgroups") {
  CHECK(*choose_runtime(CgroupMode::hybrid, true, true) == "runc");
  CHECK(*choose_runtime(CgroupMode::v2, true, true) == "crun");
  CHECK(*choose_runtime(CgroupMode::v2, true, false) == "runc");
  auto none = choose_runtime(CgroupMode::hybrid, false, true);
  REQUIRE_FALSE(none);
  CHECK(none.error().message.find("install runc") != std::string::npos);
  HostFacts host;
  host.nofile_hard = 20000;
  host.nproc_hard = 96365;
  auto conf = private_containers_conf(host, "runc");
  CHECK(conf.find("\"nofile=20000:20000\", \"nproc=32768:32768\"") != std::string::npos);
  CHECK(conf.find("runtime = \"runc\"") != std::string::npos);
  CHECK(conf.find("exit_command_delay = 5") != std::string::npos);
}

namespace {
std::map<std::string, std::string> entries_of(const std::string& tar) {
  std::map<std::string, std::string> out;
  struct archive* reader = ::archive_read_new();
  ::archive_read_support_format_tar(reader);
  REQUIRE(::archive_read_open_memory(reader, tar.data(), tar.size()) == ARCHIVE_OK);
  archive_entry* entry = nullptr;
  while (::archive_read_next_header(reader, &entry) == ARCHIVE_OK) {
    std::string content(static_cast<std::size_t>(::archive_entry_size(entry)), '\0');
    if (!content.empty())
      REQUIRE(::archive_read_data(reader, content.data(), content.size()) ==
              static_cast<la_ssize_t>(content.size()));
    out[::archive_entry_pathname(entry)] = content;
  }
  ::archive_read_free(reader);
  return out;
}
}  // namespace

TEST_CASE("a layer has its parents, and the same input gives the same digest") {
  auto make = [] {
    return *build_layer(
        {LayerEntry::file("/usr/bin/tool", "bytes", 0755), LayerEntry::symlink("bin/sh", "../usr/bin/tool")});
  };
  auto layer = make();
  CHECK(layer.digest == make().digest);
  CHECK(layer.digest == "sha256:" + sha256_hex(layer.tar));
  auto entries = entries_of(layer.tar);
  CHECK(entries.count("usr/"));
  CHECK(entries.count("usr/bin/"));
  CHECK(entries["usr/bin/tool"] == "bytes");
  CHECK(entries.count("bin/sh"));
  CHECK_FALSE(build_layer({LayerEntry::file("a", "1"), LayerEntry::file("/a", "2")}));
  CHECK_FALSE(build_layer({LayerEntry::from_host("a", "/does/not/exist")}));
}

TEST_CASE("images in one archive share their layer and are named by their configuration") {
  auto layer = *build_layer({LayerEntry::file("x", "y")});
  ImageSpec one, two;
  one.tags = {"localhost/one:1"};
  one.layers = {&layer};
  two.tags = {"two"};
  two.entrypoint = {"/x"};
  two.layers = {&layer};
  auto archive = build_archive({one, two});
  REQUIRE(archive);
  auto entries = entries_of(archive->tar);
  CHECK(entries.size() == 4);  // a layer, two configurations, the manifest
  auto manifest = parse_json(entries["manifest.json"]);
  REQUIRE(manifest);
  REQUIRE(archive->ids.size() == 2);
  for (const auto& id : archive->ids) CHECK("sha256:" + sha256_hex(entries[id.substr(7) + ".json"]) == id);
  CHECK(entries["manifest.json"].find("docker.io/library/two:latest") != std::string::npos);
  CHECK(entries[archive->ids[0].substr(7) + ".json"].find(layer.digest) != std::string::npos);
  one.tags = {"Not A Reference"};
  CHECK_FALSE(build_archive({one}));
}

TEST_CASE("an archive written in pieces is the one made in memory, byte for byte") {
  char folder[] = "/tmp/image-builder-XXXXXX";
  REQUIRE(::mkdtemp(folder));
  const std::string path = std::string(folder) + "/big";
  const std::vector<LayerEntry> entries = {LayerEntry::from_host("usr/big", path),
                                           LayerEntry::directory("tmp", 01777),
                                           LayerEntry::symlink("bin", "usr/bin")};
  std::string content(3'000'001, 'x');
  for (std::size_t i = 0; i < content.size(); i += 997) content[i] = static_cast<char>(i);
  std::ofstream(path) << content;
  auto whole = *build_layer(entries);
  auto measured = measure_layer(entries);
  REQUIRE(measured);
  CHECK(measured->digest == whole.digest);
  CHECK(measured->size == whole.tar.size());
  CHECK(measured->tar.empty());

  auto spec = [](const Layer& layer) {
    ImageSpec image;
    image.tags = {"localhost/one:1"};
    image.layers = {&layer};
    return image;
  };
  auto in_memory = build_archive({spec(whole)});
  std::string streamed;
  std::size_t largest = 0;
  const ByteSink append = [&](std::string_view piece) {
    streamed += piece;
    largest = std::max(largest, piece.size());
    return Result<void>();
  };
  auto ids = write_archive({spec(*measured)}, append);
  REQUIRE(ids);
  CHECK(*ids == in_memory->ids);
  CHECK(ids->front() == image_id(spec(*measured)));
  CHECK(streamed == in_memory->tar);
  CHECK(largest <= 1 << 20);
  auto known = known_layer(entries, whole.digest, whole.tar.size());
  streamed.clear();
  REQUIRE(write_archive({spec(*known)}, append));
  CHECK(streamed == in_memory->tar);

  SECTION("what the sink refuses ends the writing with the sink's own error") {
    int pieces = 0;
    auto refused = write_archive({spec(*measured)}, [&](std::string_view) -> Result<void> {
      if (++pieces < 3) return {};
      return Status{507, "NoSpace", "the disk is full", nullptr};
    });
    REQUIRE_FALSE(refused);
    CHECK(refused.error().is("NoSpace"));
  }
  SECTION("a file that changed after it was measured is no part of an image") {
    for (const std::string& other : {content + "more", content.substr(1), "y" + content.substr(1)}) {
      std::ofstream(path, std::ios::trunc) << other;
      auto refused = write_archive({spec(*measured)}, append);
      REQUIRE_FALSE(refused);
      CHECK(refused.error().is("Conflict"));
    }
  }
  std::filesystem::remove_all(folder);
}

TEST_CASE("sha256 is the known one") {
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
