// raft's log, as it is written and as it is found after everything that can happen to a file.

#include "rhino/raft/wal.h"

#include <catch2/catch.hpp>
#include <random>

#include "support/folder.h"

using namespace rusternetes;
using namespace rusternetes::rhino;
using rusternetes::testing::Folder;
using rusternetes::testing::read_file;
using rusternetes::testing::write_file;

namespace {

constexpr const char* first_name = "/0000000000000000-0000000000000000.wal";

std::string entry(std::uint64_t index, std::uint64_t term, const std::string& data) {
  memberpb::Entry entry;
  entry.set_type(0);
  entry.set_term(term);
  entry.set_index(index);
  entry.set_data(data);
  return entry.SerializeAsString();
}

std::string written(const Folder& folder, const std::vector<std::string>& entries) {
  std::filesystem::remove(folder.path.string() + first_name);
  raft::WalWriter wal;
  memberpb::HardState state;
  for (const auto& one : entries) wal.append(raft::RecordType::entry, one);
  state.set_commit(entries.size());
  wal.append(raft::RecordType::state, state.SerializeAsString());
  REQUIRE(wal.save(folder.path));
  return folder.path.string() + first_name;
}

std::string data_of(const Result<raft::WalTail>& tail) {
  std::string out;
  if (!tail) return tail.error().message;
  for (const auto& one : tail->entries) out += one.data() + " ";
  return out;
}

}  // namespace

TEST_CASE("the log's checksum is Castagnoli's, over pieces as over the whole") {
  CHECK(raft::crc32c(0, "123456789") == 0xE3069283);
  CHECK(raft::crc32c(raft::crc32c(0, "1234"), "56789") == 0xE3069283);
}

TEST_CASE("a log gives the entries behind an index, without those that a new leader replaced") {
  const Folder folder;
  written(folder, {entry(1, 1, "a"), entry(2, 1, "b"), entry(3, 1, "c"), entry(2, 2, "B"), entry(3, 2, "C")});
  CHECK(data_of(raft::read_wal(folder.path, 0)) == "a B C ");
  CHECK(data_of(raft::read_wal(folder.path, 1)) == "B C ");
  CHECK(data_of(raft::read_wal(folder.path, 2)) == "C ");
  CHECK(data_of(raft::read_wal(folder.path, 9)).empty());
  CHECK(raft::read_wal(folder.path, 0)->commit == 5);
}

TEST_CASE("a log goes over segments, of which the oldest may be gone") {
  const Folder folder;
  const auto first = read_file(written(folder, {entry(1, 1, "a"), entry(2, 1, "b")})).substr(0, 4096);
  write_file(folder.path.string() + first_name, first);
  // The next begins with the checksum so far: that of all data before it.
  std::string data = entry(1, 1, "a") + entry(2, 1, "b");
  memberpb::HardState state;
  state.set_commit(2);
  data += state.SerializeAsString();
  auto crc = raft::crc32c(0, data);
  auto framed = [](const memberpb::Record& record) {
    std::string bytes = record.SerializeAsString();
    std::uint64_t field = bytes.size();
    const auto padding = (8 - bytes.size() % 8) % 8;
    if (padding) field |= (0x80 | padding) << 56;
    return std::string(reinterpret_cast<const char*>(&field), 8) + bytes + std::string(padding, '\0');
  };
  memberpb::Record record;
  record.set_type(static_cast<int>(raft::RecordType::crc));
  record.set_crc(crc);
  std::string second = framed(record);
  record.set_type(static_cast<int>(raft::RecordType::entry));
  record.set_data(entry(3, 1, "c"));
  record.set_crc(raft::crc32c(crc, record.data()));
  second += framed(record);
  const std::string second_name = folder.path.string() + "/0000000000000001-0000000000000003.wal";
  write_file(second_name, second);
  CHECK(data_of(raft::read_wal(folder.path, 0)) == "a b c ");
  CHECK(data_of(raft::read_wal(folder.path, 2)) == "c ");
  // In a segment that is not the last nothing may be missing.
  write_file(folder.path.string() + first_name, first.substr(0, 60));
  CHECK(data_of(raft::read_wal(folder.path, 0)).find("is damaged") != std::string::npos);
  std::filesystem::remove(folder.path.string() + first_name);
  CHECK(data_of(raft::read_wal(folder.path, 2)) == "c ");
  CHECK(data_of(raft::read_wal(folder.path, 1)).find("are missing") != std::string::npos);
}

TEST_CASE("whatever became of a log's bytes, it is read up to there or refused") {
  const Folder folder;
  const auto name = written(folder, {entry(1, 1, std::string(700, 'a')), entry(2, 1, "b"), entry(3, 1, "c")});
  const auto sound = read_file(name).substr(0, 2048);
  std::mt19937 random(1);
  int refused = 0, shorter = 0;
  for (int i = 0; i < 4000; ++i) {
    auto bytes = sound;
    for (auto changes = random() % 3; changes > 0; --changes)
      bytes[random() % 900] = static_cast<char>(random());
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    write_file(name, bytes);
    const auto tail = raft::read_wal(folder.path, random() % 4);
    if (!tail) {
      CHECK(tail.error().is("Damaged"));
      ++refused;
      continue;
    }
    shorter += tail->entries.size() < 3 ? 1 : 0;
    for (std::size_t k = 1; k < tail->entries.size(); ++k)
      CHECK(tail->entries[k].index() == tail->entries[k - 1].index() + 1);
  }
  CHECK(refused > 100);
  CHECK(shorter > 100);
}
