#include <sys/stat.h>
#include <zstd.h>

#include "support.h"

using namespace rusternetes;
using namespace rusternetes::launcher::snapshot;

namespace {

// Some tens of MB, half of which compress.
fs::path large_file(const fs::path& path) {
  std::ofstream out(path, std::ios::binary);
  for (std::uint64_t part = 0; part < 20; ++part)
    out << noise(1'000'003, part + 1) << std::string(1'000'000, 'x');
  return path;
}

Sum sum_of(const fs::path& path) { return sha256(bytes_of(read_file(path))); }

unsigned mode_of(const fs::path& path) {
  struct stat info {};
  REQUIRE(::lstat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

}  // namespace

TEST_CASE("what goes into a snapshot comes out, encrypted or not, larger than any buffer") {
  Folder folder;
  const fs::path store = large_file(folder.path / "store.db");
  const Sum sum = sum_of(store);
  for (const bool is_encrypted : {false, true}) {
    INFO(is_encrypted);
    const fs::path path = folder.path / (is_encrypted ? "encrypted" : "plain");
    std::optional<Encryption> encryption;
    if (is_encrypted) encryption = cheap("pass phrase");
    auto writer = Writer::create(path, example(), encryption);
    REQUIRE(writer);
    for (const auto& [name, content] : small_files) REQUIRE((*writer)->add_bytes(name, content));
    REQUIRE((*writer)->add_file("store/rusternetes.db", store));
    CHECK_FALSE(fs::exists(path));
    std::uint64_t told = 0;
    std::uint64_t of = 0;
    const auto wrote = (*writer)->finish([&](std::uint64_t done, std::uint64_t all) {
      CHECK(done >= told);
      told = done;
      of = all;
    });
    REQUIRE(wrote);
    CHECK(told == of);
    CHECK(told > 40'000'000);
    writer->reset();
    CHECK(mode_of(path) == 0600);
    CHECK_FALSE(fs::exists(partial_path(path)));
    CHECK(fs::file_size(path) > 20'000'000);
    CHECK(fs::file_size(path) < 25'000'000);

    std::optional<std::string_view> passphrase;
    if (is_encrypted) passphrase = "pass phrase";
    const auto reader = Reader::open(path, passphrase);
    REQUIRE(reader);
    CHECK((*reader)->manifest() == *wrote);
    CHECK((*reader)->manifest().description == example());
    told = 0;
    REQUIRE((*reader)->verify([&](std::uint64_t done, std::uint64_t) { told = done; }));
    CHECK(told == of);
    CHECK(check_sum(path));

    const fs::path out = folder.path / (path.filename().string() + ".out");
    REQUIRE((*reader)->extract_all(out));
    CHECK(sum_of(out / "store/rusternetes.db") == sum);
    fs::remove(out / "store/rusternetes.db");
    CHECK(read_folder(out) == small_files);
    for (const char* name : {"", "pki", "store"}) CHECK(mode_of((out / name).lexically_normal()) == 0700);
    for (const auto& [name, _] : small_files) CHECK(mode_of(out / name) == 0600);
  }
}

TEST_CASE("one member comes out alone, and what there is stays as it is") {
  Folder folder;
  const fs::path path = folder.path / "s";
  REQUIRE(make(path, small_files, cheap("p")));
  const auto reader = Reader::open(path, "p");
  REQUIRE(reader);
  const fs::path out = folder.path / "out";
  REQUIRE((*reader)->extract("pki/ca.key", out));
  CHECK(read_folder(out) == Files{{"pki/ca.key", small_files.at("pki/ca.key")}});
  REQUIRE((*reader)->extract("pki/ca.crt", out));
  CHECK(read_folder(out).size() == 2);

  write_file(out / "pki/ca.key", "mine");
  const auto again = (*reader)->extract("pki/ca.key", out);
  REQUIRE_FALSE(again);
  CHECK(again.error().is(reason::in_the_way));
  CHECK(again.error().message ==
        (out / "pki/ca.key").string() + " is there already: move it away, or choose another place");
  // What was made before the file in the way is removed, what was there is not.
  REQUIRE((*reader)->extract("settings.json", folder.path / "third"));
  write_file(folder.path / "third/store", "mine");
  CHECK((*reader)->extract_all(folder.path / "third").error().is(reason::in_the_way));
  CHECK(read_folder(folder.path / "third") ==
        Files{{"settings.json", small_files.at("settings.json")}, {"store", "mine"}});
  CHECK_FALSE(fs::exists(folder.path / "third/pki"));
  CHECK(read_file(out / "pki/ca.key") == "mine");

  CHECK((*reader)->extract("pki/sa.key", out).error().is(reason::not_found));
  CHECK((*reader)->extract("snapshot.json", out).error().is(reason::not_found));
  CHECK((*reader)->extract("pki/ca.crt", folder.path / "no/where").error().is(reason::not_found));
}

TEST_CASE("no link below the folder is followed out of it") {
  Folder folder;
  const fs::path path = folder.path / "s";
  REQUIRE(make(path, small_files));
  const auto reader = Reader::open(path);
  REQUIRE(reader);
  fs::create_directories(folder.path / "out");
  fs::create_directories(folder.path / "elsewhere");
  fs::create_directory_symlink(folder.path / "elsewhere", folder.path / "out/pki");
  CHECK((*reader)->extract_all(folder.path / "out").error().is(reason::in_the_way));
  CHECK(fs::is_empty(folder.path / "elsewhere"));
  fs::remove(folder.path / "out/pki");
  fs::create_symlink(folder.path / "elsewhere/new", folder.path / "out/settings.json");
  CHECK((*reader)->extract_all(folder.path / "out").error().is(reason::in_the_way));
  CHECK(fs::is_empty(folder.path / "elsewhere"));
  CHECK(std::distance(fs::directory_iterator(folder.path / "out"), {}) == 1);
}

TEST_CASE("a listing tells what it can without a passphrase") {
  Folder folder;
  const fs::path path = folder.path / "s";
  REQUIRE(make(path, small_files, cheap("right")));
  const auto closed = inspect(path);
  REQUIRE(closed);
  CHECK(closed->format == 1);
  CHECK(closed->is_encrypted);
  CHECK(closed->created_at_s == example().created_at_s);
  CHECK(closed->file_size == fs::file_size(path));
  CHECK_FALSE(closed->manifest);
  const auto open = inspect(path, "right");
  REQUIRE(open);
  REQUIRE(open->manifest);
  CHECK(open->manifest->description == example());
  CHECK(inspect(path, "wrong").error().is(reason::passphrase_wrong));
  const fs::path plain = folder.path / "plain";
  REQUIRE(make(plain, small_files));
  const auto told = inspect(plain);
  REQUIRE(told);
  CHECK_FALSE(told->is_encrypted);
  REQUIRE(told->manifest);
  CHECK(told->manifest->members.size() == small_files.size());
}

TEST_CASE("a passphrase is needed, and another one is wrong, not damage") {
  Folder folder;
  const fs::path path = folder.path / "s";
  REQUIRE(make(path, small_files, Encryption{"right", {}}));  // at the cost of real ones
  CHECK(fault(path) == reason::passphrase_needed);
  CHECK(fault(path, "right") == "");
  for (const char* wrong : {"", "Right", "right "}) CHECK(fault(path, wrong) == reason::passphrase_wrong);
  CHECK(Writer::create(folder.path / "t", example(), Encryption{"", {}}).error().is(reason::bad_request));
  CHECK_FALSE(fs::exists(partial_path(folder.path / "t")));
}

TEST_CASE("an encrypted snapshot shows nothing of what is in it, and two of the same differ") {
  Folder folder;
  // As large as does not compress: so it would be seen.
  const std::string content = noise(300'000);
  const std::string secret = content.substr(150'000, 64);
  REQUIRE(make(folder.path / "plain", {{"pki/ca.key", content}}));
  REQUIRE(read_file(folder.path / "plain").find(secret) != std::string::npos);
  REQUIRE(make(folder.path / "a", {{"pki/ca.key", content}}, cheap("p")));
  REQUIRE(make(folder.path / "b", {{"pki/ca.key", content}}, cheap("p")));
  const std::string a = read_file(folder.path / "a");
  const std::string b = read_file(folder.path / "b");
  for (std::size_t at = 0; at + 8 <= secret.size(); ++at) CHECK(a.find(secret.substr(at, 8)) == a.npos);
  for (const char* word : {"pki", "ca.key", "all-in-one", "4711", "20261122"}) CHECK(a.find(word) == a.npos);
  CHECK(a.size() == b.size());
  CHECK(a.substr(header_size, a.size() - header_size - trailer_size) !=
        b.substr(header_size, b.size() - header_size - trailer_size));
}

TEST_CASE("a snapshot that is not encrypted is a zstd file to every zstd, with a tar archive in it") {
  Folder folder;
  REQUIRE(make(folder.path / "s", small_files));
  const std::string packed = read_file(folder.path / "s");
  std::string tar(1 << 20, '\0');
  ZSTD_DCtx* context = ZSTD_createDCtx();
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  ZSTD_outBuffer out{tar.data(), tar.size(), 0};
  std::size_t code = 0;
  while (in.pos < in.size) {
    code = ZSTD_decompressStream(context, &out, &in);
    REQUIRE_FALSE(ZSTD_isError(code));
  }
  CHECK(code == 0);
  ZSTD_freeDCtx(context);
  CHECK(tar.starts_with("snapshot.json"));
  CHECK(tar.substr(257, 5) == "ustar");
  CHECK(tar.find(small_files.at("pki/ca.key")) != tar.npos);
}

TEST_CASE("a snapshot may hold nothing") {
  Folder folder;
  REQUIRE(make(folder.path / "none", {}, cheap("p")));
  CHECK(fault(folder.path / "none", "p") == "");
}

TEST_CASE("a body that fills its chunks exactly ends with a full one") {
  Folder folder;
  const auto key = FileKey::derive("p", bytes_of("salt"), {1, 8, 1});
  REQUIRE(key);
  const HeaderBytes header = write_header({});
  for (const std::size_t size :
       {std::size_t{1}, chunk_size - 1, chunk_size, chunk_size + 1, 2 * chunk_size, 2 * chunk_size + 1}) {
    INFO(size);
    const std::string text = noise(size);
    const fs::path path = write_file(folder.path / "body", "");
    {
      File file(::open(path.c_str(), O_WRONLY | O_CLOEXEC), path);
      BodySink sink(file, header, &*key);
      REQUIRE(sink.begin());
      REQUIRE(sink.add(bytes_of(text).first(size / 3)));
      REQUIRE(sink.add(bytes_of(text).subspan(size / 3)));
      REQUIRE(sink.finish());
    }
    const std::size_t chunks = (size + chunk_size - 1) / chunk_size;
    CHECK(fs::file_size(path) == header_size + size + chunks * tag_size + trailer_size);
    const auto file = File::open(path);
    REQUIRE(file);
    BodySource source(*file, header, &*key);
    std::string read;
    while (true) {
      const auto piece = source.next();
      REQUIRE(piece);
      if (piece->empty()) break;
      read.append(reinterpret_cast<const char*>(piece->data()), piece->size());
    }
    CHECK(read == text);
    CHECK(source.finish());
  }
}

TEST_CASE("what a snapshot cannot hold is refused when it is added") {
  Folder folder;
  const auto writer = Writer::create(folder.path / "s", example());
  REQUIRE(writer);
  CHECK((*writer)->add_bytes("../a", "").error().is(reason::bad_request));
  CHECK((*writer)->add_bytes("snapshot.json", "").error().is(reason::bad_request));
  REQUIRE((*writer)->add_bytes("a", "1"));
  CHECK((*writer)->add_bytes("a", "2").error().is(reason::bad_request));
  CHECK((*writer)->add_bytes("a/b", "2").error().is(reason::bad_request));
  CHECK((*writer)->add_file("b", folder.path / "nowhere").error().is(reason::not_found));
  CHECK((*writer)->add_file("b", folder.path).error().is(reason::bad_request));
  REQUIRE((*writer)->finish());
  CHECK(fault(folder.path / "s") == "");
  const auto reader = Reader::open(folder.path / "s");
  REQUIRE(reader);
  CHECK((*reader)->manifest().members == std::vector<Member>{member("a", "1")});
  Description bad = example();
  bad.cluster = "\x1b[2J";
  const auto other = Writer::create(folder.path / "t", bad);
  REQUIRE(other);
  CHECK((*other)->finish().error().is(reason::bad_request));
}
