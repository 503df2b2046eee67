#include "engine/container_log.h"

#include <fmt/format.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

using namespace rusternetes;
using namespace rusternetes::engine;

namespace {

// A folder with one log, written in either format.
struct LogFile {
  explicit LogFile(bool is_cri) : is_cri(is_cri) {
    char name[] = "/tmp/container-log-XXXXXX";
    folder = ::mkdtemp(name);
    path = folder + "/0.log";
    std::ofstream(path).flush();
  }
  ~LogFile() { std::filesystem::remove_all(folder); }

  // `second` of 2026-01-01T00:00; `ends` false makes a piece of a line.
  std::string record(int second, std::string text, std::string stream = "stdout", bool ends = true) const {
    auto time = fmt::format("2026-01-01T00:00:{:02}.000000500Z", second);
    if (is_cri) return fmt::format("{} {} {} {}\n", time, stream, ends ? "F" : "P", text);
    return fmt::format("{{\"log\":\"{}{}\",\"stream\":\"{}\",\"time\":\"{}\"}}\n", text, ends ? "\\n" : "",
                       stream, time);
  }
  void append(const std::string& bytes) const {
    std::ofstream(path, std::ios::app | std::ios::binary) << bytes;
  }

  bool is_cri;
  std::string folder, path;
};

constexpr std::int64_t kBase = 1'767'225'600'000'000'000;  // 2026-01-01T00:00:00Z

std::unique_ptr<ContainerLogReader> open_log(const LogFile& file, LogOptions options = {}) {
  auto reader = ContainerLogReader::open(file.path, options);
  REQUIRE(reader);
  return std::move(*reader);
}

// Until the reader has nothing more to give now.
std::string read_on(ContainerLogReader& reader, ContainerLogReader::More* more = nullptr) {
  std::string out;
  for (;;) {
    auto piece = reader.read();
    REQUIRE(piece);
    out += piece->bytes;
    if (more) *more = piece->more;
    if (piece->more != ContainerLogReader::More::now) return out;
  }
}

bool is_woken(const ContainerLogReader& reader) {
  pollfd fd{reader.change_fd(), POLLIN, 0};
  return ::poll(&fd, 1, 5000) == 1;
}

std::string read_log(const LogFile& file, LogOptions options = {}) {
  auto reader = open_log(file, options);
  return read_on(*reader);
}

void for_both(const std::function<void(LogFile&)>& test) {
  for (bool is_cri : {true, false}) {
    INFO((is_cri ? "CRI format" : "json-file format"));
    LogFile file(is_cri);
    test(file);
  }
}

}  // namespace

TEST_CASE("pieces of a line are joined and both streams come in order") {
  for_both([](LogFile& file) {
    file.append(file.record(1, "ab", "stdout", false) + file.record(1, "cd", "stdout", false) +
                file.record(1, "e") + file.record(2, "wrong", "stderr") + file.record(3, ""));
    CHECK(read_log(file) == "abcde\nwrong\n\n");
    LogOptions errors;
    errors.stream = LogStream::err;
    CHECK(read_log(file, errors) == "wrong\n");
  });
}

TEST_CASE("a time is put before each whole line") {
  for_both([](LogFile& file) {
    file.append(file.record(1, "a", "stdout", false) + file.record(2, "b") + file.record(3, "c"));
    LogOptions options;
    options.has_timestamps = true;
    CHECK(read_log(file, options) == "2026-01-01T00:00:01.000000500Z ab\n2026-01-01T00:00:03.000000500Z c\n");
  });
}

TEST_CASE("since leaves out what is older") {
  for_both([](LogFile& file) {
    file.append(file.record(1, "old") + file.record(2, "new"));
    LogOptions options;
    options.since_ns = kBase + 2'000'000'000;
    CHECK(read_log(file, options) == "new\n");
  });
}

TEST_CASE("tail counts whole lines, across blocks of the file") {
  for_both([](LogFile& file) {
    std::string all;
    for (int i = 0; i < 3000; ++i)
      all += file.record(i % 60, fmt::format("line {} {}", i, std::string(i % 200, 'x')));
    file.append(all);
    for (std::int64_t wanted : {0, 1, 2, 10, 700, 2999, 3000, 5000}) {
      LogOptions options;
      options.tail_lines = wanted;
      auto text = read_log(file, options);
      auto lines = std::count(text.begin(), text.end(), '\n');
      CHECK(lines == std::min<std::int64_t>(wanted, 3000));
      if (wanted > 0 && wanted < 3000) CHECK(text.starts_with(fmt::format("line {} ", 3000 - wanted)));
    }
  });
}

TEST_CASE("tail takes a split line as one, and an unfinished one too") {
  for_both([](LogFile& file) {
    file.append(file.record(1, "one") + file.record(2, "t", "stdout", false) + file.record(2, "wo") +
                file.record(3, "err", "stderr") + file.record(4, "open", "stdout", false));
    LogOptions options;
    options.tail_lines = 2;
    CHECK(read_log(file, options) == "err\nopen");
    options.stream = LogStream::out;
    CHECK(read_log(file, options) == "two\nopen");
  });
}

TEST_CASE("a limit of bytes cuts in the middle and ends even a follower") {
  for_both([](LogFile& file) {
    file.append(file.record(1, "12345") + file.record(2, "67890"));
    LogOptions options;
    options.limit_bytes = 8;
    options.follow = true;
    auto reader = open_log(file, options);
    ContainerLogReader::More more;
    CHECK(read_on(*reader, &more) == "12345\n67");
    CHECK(more == ContainerLogReader::More::never);
  });
}

TEST_CASE("a follower is woken by what is written, and ends when the writer has finished") {
  for_both([](LogFile& file) {
    LogOptions options;
    options.follow = true;
    auto reader = open_log(file, options);
    ContainerLogReader::More more;
    CHECK(read_on(*reader, &more).empty());
    CHECK(more == ContainerLogReader::More::later);
    reader->drain_changes();
    auto record = file.record(1, "hello");
    file.append(record.substr(0, 7));
    CHECK(is_woken(*reader));
    reader->drain_changes();
    CHECK(read_on(*reader).empty());
    file.append(record.substr(7));
    CHECK(is_woken(*reader));
    CHECK(read_on(*reader) == "hello\n");
    file.append(file.record(2, "last"));
    reader->finish();
    CHECK(is_woken(*reader));
    CHECK(read_on(*reader, &more) == "last\n");
    CHECK(more == ContainerLogReader::More::never);
  });
}

TEST_CASE("a follower loses nothing in a rotation") {
  for_both([](LogFile& file) {
    LogOptions options;
    options.follow = true;
    auto reader = open_log(file, options);
    file.append(file.record(1, "before"));
    CHECK(read_on(*reader) == "before\n");
    file.append(file.record(2, "late"));  // written after the last look and before the rename
    std::filesystem::rename(file.path, file.path + ".1");
    file.append(file.record(3, "after"));
    CHECK(is_woken(*reader));
    CHECK(read_on(*reader) == "late\nafter\n");
    reader->drain_changes();
    file.append(file.record(4, "more"));
    CHECK(is_woken(*reader));
    CHECK(read_on(*reader) == "more\n");
  });
}

TEST_CASE("a truncated log is read from its new start, a removed one ends") {
  for_both([](LogFile& file) {
    LogOptions options;
    options.follow = true;
    auto reader = open_log(file, options);
    file.append(file.record(1, "a long line before"));
    CHECK(read_on(*reader) == "a long line before\n");
    std::filesystem::resize_file(file.path, 0);
    file.append(file.record(2, "b"));
    CHECK(read_on(*reader) == "b\n");
    reader->drain_changes();
    file.append(file.record(3, "c"));
    std::filesystem::remove(file.path);
    CHECK(is_woken(*reader));
    ContainerLogReader::More more;
    CHECK(read_on(*reader, &more) == "c\n");
    CHECK(more == ContainerLogReader::More::never);
  });
}

TEST_CASE("a link to the log is followed, and none is NotFound") {
  LogFile file(false);
  file.append(file.record(1, "through the link"));
  std::filesystem::create_symlink(file.path, file.folder + "/link");
  auto reader = ContainerLogReader::open(file.folder + "/link", {});
  REQUIRE(reader);
  CHECK(read_on(**reader) == "through the link\n");
  auto missing = ContainerLogReader::open(file.folder + "/none", {});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().is("NotFound"));
}

TEST_CASE("garbage between records is left out") {
  LogFile file(true);
  file.append("garbage\n\n{\"log\":\n" + file.record(1, "good") + std::string(3 << 20, 'x') + "\n" +
              file.record(2, "again"));
  CHECK(read_log(file) == "good\nagain\n");
}

namespace {
Task<> follow_all(ContainerLogStream& stream, std::string& seen) {
  for (;;) {
    auto bytes = co_await stream.next();
    REQUIRE(bytes);
    if (bytes->empty()) co_return;
    seen += *bytes;
    if (seen.ends_with("end\n")) stream.finish();
  }
}
}  // namespace

TEST_CASE("a coroutine follows a log without blocking its thread") {
  LogFile file(true);
  LogOptions options;
  options.follow = true;
  EventThread thread("log-test");
  WorkerThread worker("log-worker");
  ContainerLogStream stream(open_log(file, options), worker);
  std::thread writer([&file] {
    for (int i = 0; i < 50; ++i) file.append(file.record(i, "line"));
    file.append(file.record(59, "end"));
  });
  std::string seen;
  run_blocking(thread.executor(), follow_all(stream, seen));
  writer.join();
  CHECK(std::count(seen.begin(), seen.end(), '\n') == 51);
}
