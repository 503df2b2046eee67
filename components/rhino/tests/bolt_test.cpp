// The bbolt format: what the writer makes, the reader finds, and nothing that a file may hold harms the
// reader.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "rhino/bolt/reader.h"
#include "rhino/bolt/writer.h"
#include "snapshot_folder.h"

using namespace rusternetes;
using namespace rusternetes::rhino;
using rhino::testing::read_file;
using rhino::testing::Folder;
using rhino::testing::write_file;

namespace {

using Entries = std::map<std::string, std::string>;
using Buckets = std::map<std::string, Entries>;

void write(const std::string& path, const Buckets& buckets) {
  auto writer = bolt::Writer::create(path);
  REQUIRE(writer);
  for (const auto& [name, entries] : buckets) {
    (*writer)->begin_bucket(name);
    for (const auto& [key, value] : entries) REQUIRE((*writer)->put(key, value));
    REQUIRE((*writer)->end_bucket());
  }
  auto size = (*writer)->finish();
  REQUIRE(size);
  REQUIRE(*size == static_cast<std::int64_t>(std::filesystem::file_size(path)));
}

Result<Buckets> read(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY);
  RN_TRY(auto reader, bolt::Reader::open(fd, std::filesystem::file_size(path)));
  Buckets buckets;
  for (const auto& [name, _] : reader->buckets()) {
    std::string last;
    auto& entries = buckets[name];
    RN_CHECK(reader->walk(name, [&](std::string_view key, std::string_view value) -> Result<void> {
      if (key <= last) return internal_error("out of order");
      last = key;
      entries.emplace(key, value);
      return {};
    }));
  }
  return buckets;
}

std::string reason_of(const std::string& path) {
  auto buckets = read(path);
  return buckets ? "none" : buckets.error().reason;
}

template <class T>
void patch(std::string& bytes, std::size_t at, const T& value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}
template <class T>
T peek(const std::string& bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// A bucket of three levels, whose pages are found by their kind.
std::string deep_file(const Folder& folder) {
  Buckets buckets;
  for (int i = 0; i < 60'000; ++i)
    buckets["deep"].emplace(fmt::format("{:017}", i), fmt::format("value {}", i));
  write(folder.file("deep"), buckets);
  return read_file(folder.file("deep"));
}
std::size_t page_of_kind(const std::string& bytes, std::uint16_t kind, bool is_last) {
  std::size_t found = 0;
  for (std::size_t at = 2 * bolt::page_size; at < bytes.size(); at += bolt::page_size)
    if (peek<bolt::PageHeader>(bytes, at).flags == kind && (is_last || !found)) found = at;
  return found;
}

}  // namespace

TEST_CASE("buckets of every shape are read as they were written") {
  const Folder folder;
  Buckets buckets;
  buckets["empty"];
  buckets["one"]["key"] = "value";
  buckets["no value"]["key"] = "";
  for (int i = 0; i < 100; ++i)
    buckets["a page or two"].emplace(fmt::format("k{:03}", i), std::string(50, 'x'));
  for (int i = 0; i < 50'000; ++i) buckets["many"].emplace(fmt::format("{:017}", i * 7), std::to_string(i));
  for (const std::size_t size : {4095, 4096, 4097, 10'000, 3'000'000})
    buckets["large"].emplace(fmt::format("{:08}", size),
                             std::string(size, static_cast<char>('a' + size % 26)));
  for (int i = 0; i < 40; ++i)
    buckets["long keys"].emplace(fmt::format("{:03}", i) + std::string(30'000, 'k'), "v");
  for (int i = 0; i < 2000; ++i)
    buckets["middling"].emplace(fmt::format("{:05}", i), std::string(static_cast<std::size_t>(i * 3), 'm'));
  buckets["bytes"][std::string("\0\xff\0", 3)] = std::string("\0\x80", 2);
  write(folder.file("db"), buckets);
  auto found = read(folder.file("db"));
  REQUIRE(found);
  CHECK(*found == buckets);
  struct stat info {};
  REQUIRE(::stat(folder.file("db").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("each number of entries around a page's end gives a sound tree") {
  const Folder folder;
  for (int entries = 80; entries < 140; ++entries) {
    Buckets buckets;
    for (int i = 0; i < entries; ++i) buckets["b"].emplace(fmt::format("{:016}", i), "1234567");
    write(folder.file("db"), buckets);
    auto found = read(folder.file("db"));
    REQUIRE(found);
    REQUIRE(*found == buckets);
    std::filesystem::remove(folder.file("db"));
  }
}

TEST_CASE("a bolt file that is not finished is taken away, and one that exists is left alone") {
  const Folder folder;
  {
    auto writer = bolt::Writer::create(folder.file("db"));
    REQUIRE(writer);
    (*writer)->begin_bucket("b");
    REQUIRE((*writer)->put("k", "v"));
  }
  CHECK_FALSE(std::filesystem::exists(folder.file("db")));
  write_file(folder.file("db"), "mine");
  CHECK_FALSE(bolt::Writer::create(folder.file("db")));
  CHECK(read_file(folder.file("db")) == "mine");
}

TEST_CASE("the kept files of etcd 3.4, 3.5 and 3.6 are read, and no flipped byte of them harms") {
  const Folder folder;
  for (const char* name : {"etcd-3.4.snap", "etcd-3.5.db", "etcd-3.6.snap"}) {
    const auto bytes = read_file(rhino::testing::kept_file(name));
    write_file(folder.file("whole"), bytes);
    auto whole = read(folder.file("whole"));
    REQUIRE(whole);
    CHECK(whole->at("key").size() >= 5);
    std::size_t refused = 0;
    write_file(folder.file("flipped"), bytes);
    const int fd = ::open(folder.file("flipped").c_str(), O_WRONLY);
    REQUIRE(fd >= 0);
    for (std::size_t at = 0; at < bytes.size(); at += 7) {
      const auto flipped = static_cast<char>(bytes[at] ^ (1 << at % 8));
      REQUIRE(::pwrite(fd, &flipped, 1, static_cast<off_t>(at)) == 1);
      refused += reason_of(folder.file("flipped")) == "Damaged";
      REQUIRE(::pwrite(fd, &bytes[at], 1, static_cast<off_t>(at)) == 1);
    }
    ::close(fd);
    CHECK(refused > 0);
  }
}

TEST_CASE("a file cut short anywhere is refused") {
  const Folder folder;
  const auto bytes = deep_file(folder);
  for (std::size_t size = 0; size < bytes.size(); size += 4096 * 37 + 911) {
    write_file(folder.file("cut"), bytes.substr(0, size));
    CHECK(reason_of(folder.file("cut")) == (size < 80 ? "NotBolt" : "Damaged"));
  }
  write_file(folder.file("cut"), std::string(100'000, 'x'));
  CHECK(reason_of(folder.file("cut")) == "NotBolt");
}

TEST_CASE("the older meta page serves when the newer is damaged, and none means damaged") {
  const Folder folder;
  auto bytes = deep_file(folder);
  bytes[30] = static_cast<char>(bytes[30] ^ 1);
  write_file(folder.file("db"), bytes);
  CHECK(reason_of(folder.file("db")) == "none");
  bytes[4096 + 30] = static_cast<char>(bytes[4096 + 30] ^ 1);
  write_file(folder.file("db"), bytes);
  CHECK(reason_of(folder.file("db")) == "Damaged");
}

TEST_CASE("a tree that leads in a circle, shares pages or has keys out of order is refused") {
  const Folder folder;
  const auto sound = deep_file(folder);
  const std::size_t top = page_of_kind(sound, bolt::branch_page, true),
                    low = page_of_kind(sound, bolt::branch_page, false);
  REQUIRE(top != low);
  const std::size_t first = sizeof(bolt::PageHeader), second = first + sizeof(bolt::BranchElement);
  auto refused = [&](auto change) {
    auto bytes = sound;
    change(bytes);
    write_file(folder.file("hostile"), bytes);
    return reason_of(folder.file("hostile"));
  };
  auto child_of = [&](std::size_t page, std::size_t element, bolt::PageId child) {
    return refused([&](std::string& bytes) {
      auto branch = peek<bolt::BranchElement>(bytes, page + element);
      branch.page = child;
      patch(bytes, page + element, branch);
    });
  };
  CHECK(child_of(low, first, low / bolt::page_size) == "Damaged");   // itself
  CHECK(child_of(low, first, top / bolt::page_size) == "Damaged");   // what leads to it
  const auto brother = peek<bolt::BranchElement>(sound, low + first).page;
  CHECK(child_of(low, second, brother) == "Damaged");                // the one beside it
  CHECK(child_of(low, first, 0) == "Damaged");                       // a meta page
  CHECK(child_of(low, first, 1 << 30) == "Damaged");                 // beyond the file
  CHECK(refused([&](std::string& bytes) {  // more entries than room
          auto header = peek<bolt::PageHeader>(bytes, low);
          header.count = 0xffff;
          patch(bytes, low, header);
        }) == "Damaged");
  CHECK(refused([&](std::string& bytes) {  // a leaf as long as four thousand million pages
          auto header = peek<bolt::PageHeader>(bytes, 2 * bolt::page_size);
          header.overflow = 0xffffffff;
          patch(bytes, 2 * bolt::page_size, header);
        }) == "Damaged");
  CHECK(refused([&](std::string& bytes) {  // a value that reaches out of its page
          auto leaf = peek<bolt::LeafElement>(bytes, 2 * bolt::page_size + first);
          leaf.value_size = 0xffffffff;
          patch(bytes, 2 * bolt::page_size + first, leaf);
        }) == "Damaged");
  CHECK(refused([&](std::string& bytes) {  // all values are the same bytes
          for (std::size_t i = 0; i < 60; ++i) {
            const std::size_t at = 2 * bolt::page_size + first + i * sizeof(bolt::LeafElement);
            auto leaf = peek<bolt::LeafElement>(bytes, at);
            leaf.value_size =
                static_cast<std::uint32_t>(4096 - first - i * sizeof leaf - leaf.position - leaf.key_size);
            patch(bytes, at, leaf);
          }
        }) == "Damaged");
  CHECK(refused([&](std::string& bytes) {  // two keys changed places
          const std::size_t one = 2 * bolt::page_size + first, two = one + sizeof(bolt::LeafElement);
          auto left = peek<bolt::LeafElement>(bytes, one), right = peek<bolt::LeafElement>(bytes, two);
          left.position += right.position + sizeof left - left.position;
          right.position = peek<bolt::LeafElement>(bytes, one).position - sizeof right;
          patch(bytes, one, left);
          patch(bytes, two, right);
        }) == "Damaged");
}
