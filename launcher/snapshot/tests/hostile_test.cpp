// Archives that no Writer makes, with every sum right: what only whoever means harm would write.
#include "support.h"

using namespace rusternetes;
using namespace rusternetes::launcher::snapshot;

namespace {

std::string manifest_of(std::vector<Member> members) { return to_json({1, example(), std::move(members)}); }

// The fault of an archive that begins with a snapshot.json of these members; nothing may have left the
// folder.
std::string fault_of(const std::vector<Member>& members, std::vector<Entry> entries) {
  Folder folder;
  const std::string manifest = manifest_of(members);
  entries.insert(entries.begin(), {"snapshot.json", manifest});
  const fs::path path = frame(folder.path / "s", tar_zst(entries), manifest);
  const std::string found = fault(path);
  fs::create_directories(folder.path / "in");
  if (const auto reader = Reader::open(path); reader) {
    const auto out = (*reader)->extract_all(folder.path / "in/out");
    CHECK((out ? "" : out.error().reason) == found);
    if (!out) CHECK(fs::is_empty(folder.path / "in"));
  }
  fs::remove_all(folder.path / "in/out");
  CHECK(fs::is_empty(folder.path / "in"));
  CHECK(std::distance(fs::directory_iterator(folder.path), {}) == 2);
  return found;
}

}  // namespace

TEST_CASE("an archive made elsewhere is read if it is as a Writer makes it, and refused if not") {
  CHECK(fault_of({member("a", "1"), member("b", "2")}, {{"a", "1"}, {"b", "2"}}) == "");
  CHECK(fault_of({}, {}) == "");
  CHECK(fault_of({member("a", "1"), member("b", "2")}, {{"b", "2"}, {"a", "1"}}) == reason::damaged);
  CHECK(fault_of({member("a", "1"), member("b", "2")}, {{"a", "1"}}) == reason::damaged);
  CHECK(fault_of({member("a", "1")}, {{"a", "1"}, {"b", "2"}}) == reason::damaged);
  CHECK(fault_of({member("a", "1")}, {{"a", "1"}, {"a", "1"}}) == reason::damaged);
  CHECK(fault_of({member("a", "1")}, {{"a", "2"}}) == reason::damaged);
  CHECK(fault_of({member("a", "1")}, {{"a", "12"}}) == reason::damaged);
  CHECK(fault_of({member("a", "12")}, {{"a", "1"}}) == reason::damaged);
  CHECK(fault_of({member("a", "1")}, {{"a", ""}}) == reason::damaged);
}

TEST_CASE("names that lead elsewhere are refused, in the archive and in its list") {
  for (const std::string name : {"../evil", "/tmp/evil", "a/../../evil", "./a", "a//b"}) {
    INFO(name);
    CHECK(fault_of({member(name, "1")}, {{name, "1"}}) == reason::damaged);
    CHECK(fault_of({member("a", "1")}, {{name, "1"}}) == reason::damaged);
    CHECK(fault_of({member("a", "1")}, {{"a", "1"}, {name, "1"}}) == reason::damaged);
  }
  CHECK(fault_of({member("a", "1"), member("a", "1")}, {{"a", "1"}, {"a", "1"}}) == reason::damaged);
  CHECK(fault_of({member("a", "1"), member("a/b", "1")}, {{"a", "1"}, {"a/b", "1"}}) == reason::damaged);
}

TEST_CASE("links, folders and devices are refused") {
  const std::vector<Member> empty{member("a", "")};
  CHECK(fault_of(empty, {{"a", "", AE_IFREG}}) == "");
  CHECK(fault_of(empty, {{"a", "", AE_IFLNK, "/etc/passwd", ""}}) == reason::damaged);
  CHECK(fault_of(empty, {{"a", "", AE_IFREG, "", "snapshot.json"}}) == reason::damaged);
  CHECK(fault_of(empty, {{"a", "", AE_IFDIR}}) == reason::damaged);
  CHECK(fault_of(empty, {{"a", "", AE_IFIFO}}) == reason::damaged);
  CHECK(fault_of(empty, {{"a", "", AE_IFCHR}}) == reason::damaged);
  // A link that is made before what goes through it.
  CHECK(fault_of({member("a", ""), member("b", "1")}, {{"a", "", AE_IFLNK, "/tmp", ""}, {"b", "1"}}) ==
        reason::damaged);
}

TEST_CASE("a body that does not begin with its list is refused") {
  Folder folder;
  const fs::path path = folder.path / "s";
  const std::string manifest = manifest_of({member("a", "1")});
  const Entry list{"snapshot.json", manifest};
  CHECK(fault(frame(path, tar_zst({list, {"a", "1"}}), manifest)) == "");
  CHECK(fault(frame(path, tar_zst({{"a", "1"}, list}), manifest)) == reason::damaged);
  CHECK(fault(frame(path, tar_zst({}), manifest)) == reason::damaged);
  CHECK(fault(frame(path, tar_zst({{"snapshot.json", ""}}), "")) == reason::damaged);
  CHECK(fault(frame(path, tar_zst({{"snapshot.json", "[]"}}), "[]")) == reason::damaged);
  // The header vouches for the list.
  CHECK(fault(frame(path, tar_zst({list, {"a", "1"}}), manifest + " ")) == reason::damaged);
  CHECK(fault(frame(path, tar_zst({list, {"a", "1"}}, false), manifest)) == reason::damaged);
  CHECK(fault(frame(path, noise(3000), manifest)) == reason::damaged);
  const std::string large(longest_manifest + 1, ' ');
  CHECK(fault(frame(path, tar_zst({{"snapshot.json", large}}), large)) == reason::damaged);
  // Of another time than the header says.
  Manifest other{1, example(), {}};
  other.description.created_at_s += 1;
  const std::string later = to_json(other);
  CHECK(fault(frame(path, tar_zst({{"snapshot.json", later}}), later)) == reason::damaged);
}

TEST_CASE("what a file says is not repeated to a terminal as it is") {
  Folder folder;
  const std::string manifest = manifest_of({member("a", "1")});
  const fs::path path =
      frame(folder.path / "s", tar_zst({{"snapshot.json", manifest}, {"\x1b[2Jx", "1"}}), manifest);
  const auto reader = Reader::open(path);
  REQUIRE(reader);
  const auto verified = (*reader)->verify();
  REQUIRE_FALSE(verified);
  CHECK(verified.error().message.find('\x1b') == std::string::npos);
}
