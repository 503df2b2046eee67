// Every way in which a file can be another one than was written.
#include "support.h"

using namespace rusternetes;
using namespace rusternetes::launcher::snapshot;

namespace {

std::string small_snapshot(const Folder& folder, bool is_encrypted) {
  const fs::path path = folder.path / "good";
  std::optional<Encryption> encryption;
  if (is_encrypted) encryption = cheap("p");
  REQUIRE(make(path, small_files, encryption));
  return read_file(path);
}

// Of chunks that are full but the last.
std::string large_encrypted(const Folder& folder) {
  REQUIRE(make(folder.path / "large", {{"a", noise(100'000)}, {"b", noise(200'000, 2)}}, cheap("p")));
  return read_file(folder.path / "large");
}

std::string chunk_of(const std::string& file, std::size_t number) {
  return file.substr(header_size + number * sealed_size, sealed_size);
}

}  // namespace

TEST_CASE("a flipped bit anywhere is found, with its sum mended or not") {
  for (const bool is_encrypted : {false, true}) {
    Folder folder;
    const std::string good = small_snapshot(folder, is_encrypted);
    const fs::path path = folder.path / "bad";
    REQUIRE(fault(write_file(path, good), "p") == "");
    for (std::size_t at = 0; at < good.size(); ++at) {
      INFO((is_encrypted ? "encrypted " : "plain ") << at << " of " << good.size());
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
      const std::string found = fault(write_file(path, bad), "p");
      const bool is_magic = at < 4 || (at >= 8 && at < 24);
      const bool is_end = at >= good.size() - trailer_size && at < good.size() - sizeof(Sum);
      CHECK(found == (is_magic ? reason::foreign : is_end ? reason::cut_short : reason::damaged));
      CHECK_FALSE(check_sum(path));
      const auto reader = Reader::open(path, "p");
      if (reader) CHECK((*reader)->extract_all(folder.path / "out").error().is(reason::damaged));
      CHECK_FALSE(fs::exists(folder.path / "out"));
      // Whoever changes an encrypted file may know how sums are made, too, but not the key.
      if (is_encrypted && at >= header_size && !is_end)
        CHECK(fault(write_file(path, summed(bad)), "p") ==
              (at < good.size() - trailer_size ? reason::damaged : ""));
    }
  }
}

TEST_CASE("a file that is cut anywhere, or longer than it was, is told to be cut short") {
  for (const bool is_encrypted : {false, true}) {
    Folder folder;
    const std::string good = small_snapshot(folder, is_encrypted);
    const fs::path path = folder.path / "bad";
    for (std::size_t size = 0; size < good.size(); ++size) {
      INFO((is_encrypted ? "encrypted " : "plain ") << size << " of " << good.size());
      CHECK(fault(write_file(path, good.substr(0, size)), "p") == reason::cut_short);
      CHECK(inspect(path).error().is(reason::cut_short));
      if (size > header_size + trailer_size)
        CHECK_FALSE(fault(write_file(path, summed(good.substr(0, size))), "p").empty());
    }
    CHECK(fault(write_file(path, good + "x"), "p") == reason::cut_short);
    CHECK(fault(write_file(path, good + good), "p") == reason::cut_short);
  }
}

TEST_CASE("chunks in another order, left out, doubled, or of another file are found") {
  Folder folder;
  const std::string good = large_encrypted(folder);
  const fs::path path = folder.path / "bad";
  const std::size_t chunks = (good.size() - header_size - trailer_size + sealed_size - 1) / sealed_size;
  REQUIRE(chunks == 5);
  REQUIRE(fault(write_file(path, summed(good)), "p") == "");

  for (std::size_t a = 0; a < 4; ++a) {
    for (std::size_t b = a + 1; b < 4; ++b) {
      std::string swapped = good;
      swapped.replace(header_size + a * sealed_size, sealed_size, chunk_of(good, b));
      swapped.replace(header_size + b * sealed_size, sealed_size, chunk_of(good, a));
      CHECK(fault(write_file(path, summed(swapped)), "p") == reason::damaged);
    }
    std::string without = good;
    without.erase(header_size + a * sealed_size, sealed_size);
    CHECK(fault(write_file(path, summed(without)), "p") == reason::damaged);
    std::string doubled = good;
    doubled.insert(header_size + a * sealed_size, chunk_of(good, a));
    CHECK(fault(write_file(path, summed(doubled)), "p") == reason::damaged);
    // At the end of a chunk: a file that ends too early, not one that was changed.
    const std::string cut =
        good.substr(0, header_size + (a + 1) * sealed_size) + std::string(trailer_size, 0);
    CHECK(fault(write_file(path, summed(cut)), "p") == reason::cut_short);
  }
  REQUIRE(make(folder.path / "other", {{"a", noise(100'000)}, {"b", noise(200'000, 2)}}, cheap("p")));
  const std::string other = read_file(folder.path / "other");
  std::string mixed = good;
  mixed.replace(header_size + 2 * sealed_size, sealed_size, chunk_of(other, 2));
  CHECK(fault(write_file(path, summed(mixed)), "p") == reason::damaged);
  mixed = other.substr(0, header_size) + good.substr(header_size);
  CHECK(fault(write_file(path, summed(mixed)), "p") == reason::damaged);
}

TEST_CASE("the member that is damaged is named") {
  for (const bool is_encrypted : {false, true}) {
    Folder folder;
    std::optional<Encryption> encryption;
    if (is_encrypted) encryption = cheap("p");
    REQUIRE(make(folder.path / "s", {{"a", noise(500'000)}, {"b", noise(500'000, 2)}}, encryption));
    std::string bad = read_file(folder.path / "s");
    bad[700'000] = static_cast<char>(bad[700'000] ^ 1);
    write_file(folder.path / "s", bad);
    const auto reader = Reader::open(folder.path / "s", "p");
    REQUIRE(reader);
    const auto verified = (*reader)->verify();
    REQUIRE_FALSE(verified);
    INFO(verified.error().message);
    CHECK(verified.error().is(reason::damaged));
    CHECK(verified.error().message.find("s is damaged (b") != std::string::npos);
    // What stands before it can still be had.
    CHECK((*reader)->extract("a", folder.path / "out"));
    CHECK(read_file(folder.path / "out/a") == noise(500'000));
  }
}

TEST_CASE("what is no snapshot is told from a damaged one, and a newer one from both") {
  Folder folder;
  const fs::path path = folder.path / "s";
  CHECK(fault(path) == reason::not_found);
  CHECK(fault(folder.path) == reason::bad_request);
  CHECK(fault(write_file(path, "PK\x03\x04")) == reason::foreign);
  CHECK(fault(write_file(path, noise(5000))) == reason::foreign);
  CHECK(fault(write_file(path, tar_zst({{"snapshot.json", "{}"}}))) == reason::foreign);
  CHECK(fault(write_file(path, "")) == reason::cut_short);
  std::string newer = small_snapshot(folder, false);
  newer[24] = 7;
  HeaderBytes bytes;
  std::copy_n(newer.begin(), header_size, bytes.begin());
  sum_header(bytes);
  std::copy(bytes.begin(), bytes.end(), newer.begin());
  const auto opened = Reader::open(write_file(path, newer));
  REQUIRE_FALSE(opened);
  CHECK(opened.error().is(reason::newer));
  CHECK(opened.error().message ==
        path.string() + " has format 7, made by a newer release: update rusternetes-ctl to read it");
}
