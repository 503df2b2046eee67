// support-bundle: all that is known about a cluster, and none of its secrets.
#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "certs/kubeconfig.h"
#include "doctor_facts.h"
#include "launcher/bundle/objects.h"
#include "launcher/bundle/redactor.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;

namespace {

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Entries by their name below the bundle's folder.
std::map<std::string, std::string> read_bundle(const fs::path& file) {
  archive* in = archive_read_new();
  archive_read_support_filter_zstd(in);
  archive_read_support_format_tar(in);
  REQUIRE(archive_read_open_filename(in, file.c_str(), 65536) == ARCHIVE_OK);
  std::map<std::string, std::string> out;
  for (archive_entry* entry = nullptr; archive_read_next_header(in, &entry) == ARCHIVE_OK;) {
    CHECK(archive_entry_perm(entry) == 0600);
    const std::string name = archive_entry_pathname(entry);
    std::string text(static_cast<std::size_t>(archive_entry_size(entry)), '\0');
    CHECK(archive_read_data(in, text.data(), text.size()) == static_cast<la_ssize_t>(text.size()));
    out[name.substr(name.find('/') + 1)] = text;
  }
  archive_read_free(in);
  return out;
}

// Every line of every private key, and every key of a kubeconfig, that is in the cluster's folder.
std::set<std::string> secrets_of(const fs::path& root) {
  std::set<std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    const std::string text = certs::read_text(entry.path()).value();
    const bool is_key = contains(text, "PRIVATE KEY-----");
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      const auto field = line.find("client-key-data: ");
      if (field != std::string::npos) out.insert(line.substr(field + 17));
      if (is_key && !line.starts_with("-----") && line.size() >= 8) out.insert(line);
    }
  }
  return out;
}

struct BundleWorld : World {
  const fs::path root = home() / "clusters/a";
  const fs::path file = folder.path / "bundle.tar.zst";
  std::string said;  // by the command

  BundleWorld() {
    facts = std::make_shared<FakeFacts>();
    engine.log_folder = (root / "logs").string();
  }
  std::map<std::string, std::string> bundle() {
    fs::remove(file);
    const int code = run({"support-bundle", "a", "--file", file.string()});
    INFO(err.str());
    REQUIRE(code == 0);
    said = out.str();
    return read_bundle(file);
  }
};

constexpr const char* token =
    "eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6YTpiIn0.c2lnbmF0dXJlLW9mLWl0";

}  // namespace

TEST_CASE("a bundle has what there is to know, for its owner alone, and is not written over another") {
  BundleWorld world;
  REQUIRE(world.run({"create", "a", "--mode", "sqlite", "--nodes", "1"}) == 0);
  std::ofstream(world.root / "logs/api-server.log") << "I begin\nI end\n";
  std::ofstream(world.root / "logs/rhino.log") << std::string(6 << 20, 'x') << "\nthe last line\n";
  world.http.bodies["/api/v1/nodes"] = R"({"kind":"NodeList","items":[{"metadata":{"name":"node-1"}}]})";
  world.http.bodies["/api/v1/secrets"] = R"({"kind":"SecretList","items":[]})";
  const auto bundle = world.bundle();
  for (const char* name :
       {"status.json", "doctor.json", "versions.json", "journal.json", "settings.json", "compose.yaml",
        "certificates.json", "containers.json", "network.txt", "missing.txt", "logs/api-server.log",
        "cluster/readyz.txt", "cluster/nodes.json"}) {
    INFO(name);
    CHECK(bundle.contains(name));
  }
  CHECK(bundle.at("logs/api-server.log") == "I begin\nI end\n");
  CHECK(bundle.at("logs/rhino.log") == "the last line\n");  // the cut line before it is left out
  CHECK(boost::json::parse(bundle.at("status.json")).at("status") == "running");
  CHECK(boost::json::parse(bundle.at("doctor.json")).as_object().contains("findings"));
  const auto journal = boost::json::parse(bundle.at("journal.json"));
  CHECK(journal.at(0).at("plan") == "create");
  CHECK(journal.at(0).at("outcome") == "done");
  CHECK(journal.at(0).at("steps").as_array().size() > 10);
  CHECK(contains(bundle.at("certificates.json"), "apiserver-1.crt"));
  CHECK(contains(bundle.at("containers.json"), "rusternetes-a-kubelet-1"));
  CHECK(contains(bundle.at("network.txt"), "table inet a"));
  CHECK(contains(bundle.at("missing.txt"), "cluster/pods.json: it is not JSON"));
  CHECK(contains(world.said, "missing: logs/scheduler.log"));
  struct stat info {};
  REQUIRE(::stat(world.file.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
  CHECK_FALSE(fs::exists(world.file.string() + ".partial"));
  CHECK(world.run({"support-bundle", "a", "--file", world.file.string()}) == 2);
  CHECK(contains(world.err.str(), "exists and is not written over"));
  CHECK(world.run({"support-bundle", "b"}) == 3);
}

TEST_CASE("a bundle has no secret of the cluster, wherever one was told") {
  BundleWorld world;
  REQUIRE(world.run({"create", "a", "--mode", "etcd", "--nodes", "1", "--key-algorithm",
                     GENERATE(as<std::string>(), "ecdsa", "rsa")}) == 0);
  const std::set<std::string> keys = secrets_of(world.root);
  REQUIRE(keys.size() > 60);
  const std::string password = "correct horse battery staple",
                    several = "first line of it\nsecond line of it";
  std::ofstream log(world.root / "logs/api-server.log");
  log << "it begins\n";
  for (const auto& entry : fs::recursive_directory_iterator(world.root / "pki")) {
    if (entry.path().extension() != ".key") continue;
    const std::string text = certs::read_text(entry.path()).value();
    log << "a key:\n" << text << "after a key\n" << certs::base64(text) << "\n";
    log << boost::json::serialize(boost::json::object{{"key", text}}) << "\n";
    log << text.substr(text.size() / 2) << "after half a key\n";  // as a log that was cut
  }
  for (const char* name : {"kubeconfig", "super-admin.conf"})
    log << certs::read_text(world.root / name).value() << "after " << name << "\n";
  log << "Authorization: Bearer " << token << "\nand " << token << " alone\n"
      << "saw " << password << " and " << certs::base64(password) << "\n"
      << "saw second line of it\nsaw " << certs::base64(several) << "\n"
      << "--password=hunter22 {\"token\":\"abc\\\"def\"} https://bob:sesame@example.test/ join "
         "abcdef.0123456789abcdef\n"
      << "it ends\n";
  log.close();
  world.http.bodies["/api/v1/secrets"] = boost::json::serialize(boost::json::object{
      {"kind", "SecretList"},
      {"items",
       boost::json::array{boost::json::object{
           {"data", {{"one", certs::base64(password)}, {"two", certs::base64(several)}, {"x", "YQ=="}}}}}}});
  world.http.bodies["/api/v1/pods?limit=2000"] =
      R"({"kind":"PodList","items":[{"metadata":{"name":"p","annotations":{"k":"an annotation's"}},"spec":{"containers":[
        {"name":"c","image":"i","env":[{"name":"E","value":"a plain value"}],"args":["an argument"]}]},
        "status":{"phase":"Running","message":"it saw correct horse battery staple"}}]})";
  const auto bundle = world.bundle();
  for (const auto& [name, text] : bundle) {
    INFO(name);
    for (const std::string& key : keys)
      if (contains(text, key)) FAIL_CHECK("has " << key);
    for (const std::string& secret :
         {password, certs::base64(password), std::string("second line of it"), certs::base64(several),
          std::string(token), std::string(token).substr(0, 60), std::string("hunter22"), std::string("def\""),
          std::string("sesame"), std::string("0123456789abcdef"), std::string("a plain value"),
          std::string("an argument"), std::string("an annotation's"), std::string("PRIVATE KEY")})
      if (contains(text, secret)) FAIL_CHECK("has " << secret);
  }
  const std::string& cleaned = bundle.at("logs/api-server.log");
  for (const char* part :
       {"it begins\n", "after a key\n", "after half a key\n", "after kubeconfig\n", "it ends\n",
        "--password=[removed]", "https://[removed]@example.test/", "saw [removed] and [removed]"}) {
    INFO(part);
    CHECK(contains(cleaned, part));
  }
  const auto pods = boost::json::parse(bundle.at("cluster/pods.json"));
  CHECK(pods.at("items").at(0).at("status").at("phase") == "Running");
  CHECK(pods.at("items").at(0).at("spec").at("containers").at(0).at("env").at(0).at("name") == "E");
  for (const HttpRequest& one : world.http.asked) CHECK(one.method == "GET");
}

TEST_CASE("a bundle is made of a cluster that is stopped, half dead, or has lost its engine") {
  const std::string mode = GENERATE(as<std::string>(), "all-in-one", "sqlite");
  BundleWorld world;
  REQUIRE(world.run({"create", "a", "--mode", mode}) == 0);
  const std::string what =
      GENERATE(as<std::string>(), "stopped", "half dead", "no engine", "no folder", "interrupted");
  INFO(mode << ", " << what);
  if (what == "stopped") REQUIRE(world.run({"stop", "a", "--yes"}) == 0);
  if (what == "half dead")
    for (const char* kind : {"process", "released", "netns"}) world.things.remove(kind, "a");
  if (what == "half dead" && mode == "sqlite") world.things.remove("component", "a.api-server");
  if (what == "no engine") world.engine.running.clear();
  if (what == "no folder") fs::remove_all(world.root);
  if (what == "interrupted") {
    world.faults.by_call["containers"] = "broken";
    CHECK(world.run({"stop", "a", "--yes"}) != 0);
    world.faults.by_call.clear();
  }
  const auto before = world.things.all();
  const auto bundle = world.bundle();
  CHECK(world.things.all() == before);
  CHECK(bundle.contains("status.json"));
  CHECK(bundle.contains("settings.json"));
  if (what != "interrupted") CHECK(contains(bundle.at("missing.txt"), "What could not be had"));
  // It is left to the next command that changes something.
  if (what == "interrupted") CHECK(contains(bundle.at("journal.json"), "\"unfinished\""));
  if (what == "no engine") CHECK(contains(bundle.at("missing.txt"), "containers.json: /run/podman.sock"));
  if (what == "no folder") CHECK(contains(bundle.at("missing.txt"), "certificates.json"));
  if (what == "half dead") CHECK(contains(bundle.at("missing.txt"), "Connection refused"));
}

TEST_CASE("what looks like a secret goes, and what does not stays") {
  const bundle::Redactor redactor;
  const auto clean = [&](std::string text) { return redactor.clean(std::move(text)); };
  for (const char* text :
       {"secrets \"default-token\" not found", "tokens are rotated", "the secret of its success",
        "https://[::1]/api/v1/secrets: Connection refused", "GET /api/v1/namespaces/a/secrets/b?watch=true",
        "token-auth-file is not given", "bearer of good news",
        "{\"secretName\":\"tls\",\"tokens\":5,\"token\":null}", "sha256:0123456789abcdef0123456789abcdef",
        "https://10.96.0.1:443/api", "--tls-private-key-file=/etc/kubernetes/apiserver.key",
        "10.244.0.1 -> 10.96.0.10"}) {
    CHECK(clean(text) == text);
  }
  CHECK(clean("{\"password\": \"a b c\", \"x\": 1}") == "{\"password\": \"[removed]\", \"x\": 1}");
  CHECK(clean("{\\\"token\\\":\\\"abcdefgh\\\"}") == "{\\\"token\\\":\\\"[removed]\\\"}");
  CHECK(clean("API_TOKEN=abc next") == "API_TOKEN=[removed] next");
  CHECK(clean("client-key-data: LS0tLS1CRUdJTiBFQw==\nx") == "client-key-data: [removed]\nx");
  CHECK(clean("QUJD\nREVG\n-----END EC PRIVATE KEY-----\nafter") == "[removed]\nafter");
  CHECK(clean("-----BEGIN RSA PRIVATE KEY-----\nQUJD\nREVG") == "[removed]");
  CHECK(clean("postgres://u:p@db/x") == "postgres://[removed]@db/x");
  bundle::Redactor told;
  told.add_secret("swordfish");
  told.add_base64("Y29ycmVjdCBob3JzZQ==");
  told.add_secret("short");
  CHECK(told.clean("swordfishswordfish, correct horse, Y29ycmVjdCBob3JzZQ==, short") ==
        "[removed][removed], [removed], [removed], short");
}

TEST_CASE("objects lose what may be secret by its meaning, and Secrets are refused") {
  using bundle::without_secrets;
  const auto cleaned = without_secrets(
      R"({"kind":"List","items":[{"metadata":{"annotations":{"a":"hidden"},"managedFields":[{"x":1}]},"data":{"k":"hidden"},
          "spec":{"template":{"spec":{"initContainers":[{"command":["hidden"],"env":[{"name":"n","value":"hidden"},
          {"name":"m","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}],
          "livenessProbe":{"httpGet":{"httpHeaders":[{"name":"h","value":"hidden"}]}}}]}}}}]})");
  REQUIRE(cleaned);
  CHECK_FALSE(contains(*cleaned, "hidden"));
  CHECK(contains(*cleaned, R"("k":"[removed] 6 bytes")"));
  CHECK(contains(*cleaned, R"("secretKeyRef":{"name":"s","key":"k"})"));
  CHECK_FALSE(without_secrets(R"({"kind":"Secret","data":{}})"));
  CHECK_FALSE(without_secrets(R"({"kind":"SecretList","items":[]})"));
  CHECK_FALSE(without_secrets(R"({"kind":"List","items":[{"kind":"Secret"}]})"));
  CHECK_FALSE(without_secrets("ok"));
}
