#include <climits>

#include "support.h"

using namespace rusternetes;
using namespace rusternetes::launcher::snapshot;

namespace {

HeaderFault fault_of(const HeaderBytes& bytes, std::size_t size = header_size) {
  const auto read = read_header(Bytes(bytes).first(size));
  REQUIRE(std::holds_alternative<BadHeader>(read));
  return std::get<BadHeader>(read).fault;
}

Header encrypted_header() {
  Header header;
  header.is_encrypted = true;
  header.cost = {17, 8, 1};
  header.created_at_s = 1'795'327'200;
  header.salt.fill(7);
  header.proof.fill(9);
  return header;
}

Manifest manifest_of(std::vector<Member> members) { return {1, example(), std::move(members)}; }

}  // namespace

TEST_CASE("a header says what was put into it") {
  const Header wrote = encrypted_header();
  const auto read = read_header(write_header(wrote));
  REQUIRE(std::holds_alternative<Header>(read));
  const Header& header = std::get<Header>(read);
  CHECK(header.format == 1);
  CHECK(header.is_encrypted);
  CHECK(header.cost.log_n == 17);
  CHECK(header.cost.r == 8);
  CHECK(header.cost.p == 1);
  CHECK(header.created_at_s == 1'795'327'200);
  CHECK(header.salt == wrote.salt);
  CHECK(header.proof == wrote.proof);
}

TEST_CASE("each bit of a header counts, and a part of one is told from what is none") {
  const HeaderBytes good = write_header(encrypted_header());
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      INFO(at << " bit " << bit);
      HeaderBytes bytes = good;
      bytes[at] ^= static_cast<std::uint8_t>(1 << bit);
      const bool is_magic = at < 4 || (at >= 8 && at < 24);
      CHECK(fault_of(bytes) == (is_magic ? HeaderFault::foreign : HeaderFault::damaged));
    }
    INFO(at);
    CHECK(fault_of(good, at) == HeaderFault::cut_short);
  }
}

TEST_CASE("a header of a newer format is told as such, be it of this length or longer") {
  HeaderBytes bytes = write_header(encrypted_header());
  bytes[24] = 2;
  sum_header(bytes);
  const auto read = read_header(bytes);
  REQUIRE(std::holds_alternative<BadHeader>(read));
  CHECK(std::get<BadHeader>(read).fault == HeaderFault::newer);
  CHECK(std::get<BadHeader>(read).format == 2);
  bytes[4] = 200;
  CHECK(fault_of(bytes) == HeaderFault::newer);
}

TEST_CASE("a header that asks for more work than is bearable is refused before any is done") {
  for (const ScryptCost cost : {ScryptCost{0, 8, 1}, ScryptCost{21, 1, 1}, ScryptCost{20, 8, 1},
                                ScryptCost{17, 0, 1}, ScryptCost{17, 255, 1}, ScryptCost{17, 8, 0},
                                ScryptCost{17, 8, 5}, ScryptCost{63, 8, 1}, ScryptCost{255, 255, 255}}) {
    Header header = encrypted_header();
    header.cost = cost;
    INFO(int{cost.log_n} << " " << int{cost.r} << " " << int{cost.p});
    CHECK(fault_of(write_header(header)) == HeaderFault::damaged);
  }
}

TEST_CASE("the key is scrypt's of RFC 7914") {
  // Its section 12: scrypt("", "", 16, 1, 1, 64), of which the first half seals.
  const auto key = FileKey::derive("", Bytes(), {4, 1, 1});
  REQUIRE(key);
  CHECK(hex(key->sealing_key()) == "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442");
}

TEST_CASE("a chunk opens only under its own number and flag, key and header") {
  const auto key = FileKey::derive("one", bytes_of("salt"), {1, 8, 1});
  const auto other = FileKey::derive("two", bytes_of("salt"), {1, 8, 1});
  REQUIRE(key);
  REQUIRE(other);
  const std::string text = noise(chunk_size);
  ChunkCipher cipher(*key, bytes_of("header"));
  std::vector<std::uint8_t> sealed;
  std::vector<std::uint8_t> plain;
  cipher.seal(5, false, bytes_of(text), sealed);
  CHECK(sealed.size() == sealed_size);
  CHECK(cipher.open(5, false, sealed, plain));
  CHECK(std::equal(plain.begin(), plain.end(), bytes_of(text).begin(), bytes_of(text).end()));
  CHECK_FALSE(cipher.open(5, true, sealed, plain));
  CHECK(plain.empty());
  CHECK_FALSE(cipher.open(4, false, sealed, plain));
  CHECK_FALSE(cipher.open(5ULL << 32, false, sealed, plain));
  CHECK_FALSE(cipher.open(5, false, Bytes(sealed).first(sealed.size() - 1), plain));
  CHECK_FALSE(ChunkCipher(*key, bytes_of("headed")).open(5, false, sealed, plain));
  CHECK_FALSE(ChunkCipher(*other, bytes_of("header")).open(5, false, sealed, plain));
  // The key's second half proves, and seals nothing.
  CHECK(key->proof(bytes_of("a")) != key->proof(bytes_of("b")));
  CHECK(key->proof(bytes_of("a")) != other->proof(bytes_of("a")));
}

TEST_CASE("a manifest is read as it was written, and what a later release adds is passed over") {
  const Manifest manifest = manifest_of({member("pki/ca.crt", "one"), member("settings.json", "")});
  const std::string text = to_json(manifest);
  CHECK(text.find(R"("created_at":"2026-11-22T06:00:00Z")") != text.npos);
  const auto read = parse_manifest(text);
  REQUIRE(read);
  CHECK(*read == manifest);
  const auto later = parse_manifest(R"({"added":[{}],)" + text.substr(1));
  REQUIRE(later);
  CHECK(*later == manifest);
}

TEST_CASE(
    "a manifest without one of its fields, or with another kind of value, is refused with the field's name") {
  const std::string good = to_json(manifest_of({member("a", "b")}));
  for (const std::string field : {"format", "id", "cluster", "mode", "release", "created_at", "store",
                                  "revision", "object_count", "members"}) {
    INFO(field);
    std::string text = good;
    const std::size_t at = text.find("\"" + field + "\":");
    REQUIRE(at != text.npos);
    text.replace(at + 1, 1, "X");
    const auto without = parse_manifest(text);
    REQUIRE_FALSE(without);
    CHECK(without.error().message.find(field) != std::string::npos);
    text = good;
    text.insert(at + field.size() + 3, "[null],\"x\":");
    CHECK_FALSE(parse_manifest(text));
  }
  for (const char* text : {"", "[]", "{", "null", "\xff", "{}{}"}) CHECK_FALSE(parse_manifest(text));
  const auto with = [&](std::string_view old, std::string_view now) {
    std::string text = good;
    text.replace(text.find(old), old.size(), now);
    return parse_manifest(text).has_value();
  };
  CHECK(with("4711", "0"));
  CHECK_FALSE(with("4711", "-1"));
  CHECK_FALSE(with("4711", "18446744073709551615"));
  CHECK_FALSE(with("4711", "1.5"));
  CHECK_FALSE(with("sqlite", "bolt"));
  CHECK_FALSE(with("all-in-one", "\\u001b[2J"));
  CHECK(with("2026-11-22", "2028-02-29"));
  for (const char* date :
       {"2026-02-29", "2026-13-01", "2026-00-00", "1969-12-31", "20x6-11-22", "2026/11/22"})
    CHECK_FALSE(with("2026-11-22", date));
  CHECK_FALSE(with("06:00:00Z", "24:00:00Z"));
  CHECK_FALSE(with("06:00:00Z", "06:00:60Z"));
}

TEST_CASE("a member's name leads nowhere else, and no two are in each other's way") {
  for (const char* name :
       {"a", "pki/ca.crt", "pki/etcd/ca.key", ".hidden", "a..b", "store/db-1_2", "snapshot.jso"})
    CHECK(is_member_name(name));
  for (const std::string name : {"", "/", "/etc/passwd", "..", "../a", "a/../b", "a/..", ".", "./a", "a/./b",
                                 "a//b", "a/", "a b", "a\\b", "a\nb", "\xc3\xa4", "snapshot.json", "a:b"}) {
    INFO(name);
    CHECK_FALSE(is_member_name(name));
  }
  CHECK_FALSE(is_member_name(std::string("a\0b", 3)));
  CHECK(is_member_name(std::string(255, 'a')));
  CHECK_FALSE(is_member_name(std::string(256, 'a')));
  CHECK(can_stand_together({member("a/b", ""), member("a/c", ""), member("a.b", ""), member("b", "")}));
  CHECK_FALSE(can_stand_together({member("a", ""), member("a", "")}));
  CHECK_FALSE(can_stand_together({member("a/b/c", ""), member("a/b", "")}));
  CHECK_FALSE(can_stand_together({member("a", ""), member("a/b/c", "")}));
  CHECK_FALSE(can_stand_together({member("snapshot.json/a", "")}));
}

TEST_CASE("times beyond four-figure years are written as the nearest one, and never overflow") {
  CHECK(time_text(0) == "1970-01-01T00:00:00Z");
  CHECK(time_text(LLONG_MIN) == "1970-01-01T00:00:00Z");
  CHECK(time_text(LLONG_MAX) == "9999-12-31T23:59:59Z");
}
