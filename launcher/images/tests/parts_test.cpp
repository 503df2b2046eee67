// What programs need, host paths in an image, and names of images.
#include <elf.h>

#include <algorithm>

#include "launcher/images/program.h"
#include "launcher/images/reference.h"
#include "launcher/images/root.h"
#include "support.h"

using namespace rusternetes;
using namespace rusternetes::launcher::images;

TEST_CASE("the loader's answer is read, and a library that is missing is named") {
  const auto found =
      parse_libraries("x",
                      "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibb.so.2 => /usr/lib/libb.so.2 (0x00007f)\n"
                      "\tliba.so.1 => /opt/with space (0x0)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n\n");
  REQUIRE(found);
  CHECK(*found == std::vector<std::string>{"/lib64/ld-linux-x86-64.so.2", "/opt/with", "/usr/lib/libb.so.2"});
  const auto missing = parse_libraries("/bin/x", "\tlibgone.so.7 => not found\n");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().is("BinaryMissing"));
  CHECK(missing.error().message.find("libgone.so.7") != std::string::npos);
  CHECK(parse_libraries("x", "\tstatically linked\n")->empty());
}

TEST_CASE("a program's own loader says what it needs, and no program is run for that") {
  const Folder folder;
  const auto own = needs_of(fs::canonical("/proc/self/exe"));
  REQUIRE(own);
  CHECK(own->interpreter.starts_with("/"));
  const auto has = [&](const std::string& name) {
    return std::any_of(own->libraries.begin(), own->libraries.end(),
                       [&](const std::string& path) { return fs::path(path).filename() == name; });
  };
  CHECK(has("libc.so.6"));
  CHECK(has("libcrypto.so.3"));
  CHECK(std::is_sorted(own->libraries.begin(), own->libraries.end()));

  write_file(folder.path / "static", static_program());
  fs::permissions(folder.path / "static", fs::perms::owner_all);
  const auto nothing = needs_of(folder.path / "static");  // it would wait for ever
  REQUIRE(nothing);
  CHECK(nothing->interpreter.empty());
  CHECK(nothing->libraries.empty());

  write_file(folder.path / "script", "#!/bin/sh\nexit 0\n");
  write_file(folder.path / "empty", "");
  std::string cut = read_file("/proc/self/exe").substr(0, 100);
  write_file(folder.path / "cut", cut);
  cut[EI_CLASS] = ELFCLASS32;
  write_file(folder.path / "other", cut);
  for (const char* name : {"script", "empty", "cut", "other", "missing"}) {
    INFO(name);
    const auto refused = needs_of(folder.path / name);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().is("BinaryMissing"));
    CHECK(refused.error().message.find(name) != std::string::npos);
  }
}

TEST_CASE("a path stands in the image as on the host, with every link on the way") {
  const Folder folder;
  const fs::path root = fs::canonical(folder.path);
  fs::create_directories(root / "usr/lib/deep");
  write_file(root / "usr/lib/deep/liba.so.1.2", "library");
  fs::create_symlink("liba.so.1.2", root / "usr/lib/deep/liba.so.1");
  fs::create_symlink("usr/lib", root / "lib");
  fs::create_symlink(root / "lib/../lib/deep", root / "current");
  fs::create_symlink("round", root / "about");
  fs::create_symlink("about", root / "round");

  PathMirror mirror;
  const auto real = mirror.add((root / "current/liba.so.1").string());
  REQUIRE(real);
  CHECK(*real == (root / "usr/lib/deep/liba.so.1.2").string());
  std::map<std::string, std::string> links;
  std::vector<std::string> files;
  for (const engine::LayerEntry& entry : mirror.take()) {
    if (entry.kind == engine::LayerEntry::Kind::symlink)
      links[fs::path(entry.path).lexically_relative(root)] = entry.content;
    else
      files.push_back(entry.host_path);
  }
  CHECK(files == std::vector<std::string>{*real});
  CHECK(links == std::map<std::string, std::string>{{"current", (root / "lib/../lib/deep").string()},
                                                    {"lib", "usr/lib"},
                                                    {"usr/lib/deep/liba.so.1", "liba.so.1.2"}});
  CHECK_FALSE(mirror.add((root / "about").string()));
  CHECK_FALSE(mirror.add((root / "usr/lib/gone").string()));
  CHECK_FALSE(mirror.add((root / "usr/lib").string()));  // no file
}

TEST_CASE("libraries of unusual folders are found by the environment, usual ones without") {
  const auto own = needs_of(fs::canonical("/proc/self/exe"));
  REQUIRE(own);
  const auto usual = shared_root({*own});
  REQUIRE(usual);
  CHECK(usual->library_path.empty());

  const Folder folder;
  const fs::path root = fs::canonical(folder.path);
  write_file(root / "libodd.so.1", "library");
  ProgramNeeds odd = *own;
  odd.libraries.push_back((root / "libodd.so.1").string());
  const auto unusual = shared_root({*own, odd});
  REQUIRE(unusual);
  CHECK(unusual->library_path == root.string());
}

TEST_CASE("an image's reference is the user's, the registry's, or of this build") {
  const auto overrides = parse_image_overrides({"etcd=quay.io/coreos/etcd:v3.5.9", "dns=mine"}).value();
  const ReferenceChoice choice{"registry.example:5000/rusternetes/", overrides};
  CHECK(reference_of("etcd", "0.1.0", choice).value() == "quay.io/coreos/etcd:v3.5.9");
  CHECK(reference_of("dns", "0.1.0", choice).value() == "docker.io/library/mine:latest");
  CHECK(reference_of("api-server", "0.1.0", choice).value() ==
        "registry.example:5000/rusternetes/api-server:0.1.0");
  CHECK(reference_of("api-server", "0.1.0+dirty", choice).value() ==
        "registry.example:5000/rusternetes/api-server:0.1.0-dirty");
  CHECK_FALSE(reference_of("api-server", "0.1.0", {}).value().has_value());
  CHECK(reference_of("api-server", "0.1.0", {.registry = "Not A Registry"}).error().is("BadRequest"));
  for (const char* flag : {"etcd", "nothing=x", "etcd=", "etcd=Not A Reference", "=x"})
    CHECK(parse_image_overrides({flag}).error().is("BadRequest"));
  CHECK(parse_image_overrides({"dns=a", "dns=b"}).error().is("BadRequest"));
  CHECK(parse_image_overrides({"pause=a"}).has_value());
  CHECK(local_reference("dns", "0.1.0+1", "sha256:0123456789abcdef") ==
        "localhost/rusternetes/dns:0.1.0-1-0123456789ab");
}
