// certs list, check and rotate, and restart: what becomes of files, of the user's kubeconfig and of the
// process.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "certs/file.h"
#include "certs/pki.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::map<std::string, std::string> serials(const World& world) {
  std::map<std::string, std::string> out;
  const auto all = certs::expiries(world.home() / "clusters/a/pki");
  REQUIRE(all);
  for (const auto& each : *all) out[each.file] = each.info.serial_hex;
  return out;
}

std::string text_of(const fs::path& path) {
  const auto text = certs::read_text(path);
  REQUIRE(text);
  return *text;
}

bool is_authority(const std::string& file) { return file == "ca.crt" || file == "front-proxy-ca.crt"; }

}  // namespace

TEST_CASE("certs list shows every certificate with who signed it and until when") {
  World world;
  REQUIRE(world.run({"create", "a"}) == 0);
  REQUIRE(world.run({"certs", "list", "a"}) == 0);
  CHECK(contains(world.out.str(), "apiserver.crt                kube-apiserver "));
  CHECK(contains(world.out.str(), "(an authority)"));
  CHECK_FALSE(contains(world.out.str(), "\n  "));  // no problem below any line
  REQUIRE(world.run({"certs", "list", "a", "--output", "json"}) == 0);
  const auto all = boost::json::parse(world.out.str()).at("certificates").as_array();
  CHECK(all.size() == serials(world).size());
  for (const auto& each : all) {
    CHECK(each.at("problem").as_string().empty());
    CHECK(each.at("daysLeft").as_int64() >= 364);
  }
  CHECK(world.run({"certs", "list", "b"}) == 3);
}

TEST_CASE("certs check tells what expires soon and what does not fit, with an exit code") {
  World world;
  REQUIRE(world.run({"create", "a"}) == 0);
  REQUIRE(world.run({"certs", "check", "a"}) == 0);
  CHECK(contains(world.out.str(), "are good for 30 days and more"));
  CHECK(world.run({"certs", "check", "a", "--days", "400"}) == 9);
  CHECK(contains(world.out.str(), "it expires soon"));
  CHECK_FALSE(contains(world.out.str(), "ca.crt"));  // ten years
  CHECK(contains(world.err.str(), "rusternetes-ctl certs rotate"));
  CHECK(world.run({"certs", "check", "a", "--days", "many"}) == 2);

  const fs::path pki = world.home() / "clusters/a/pki";
  REQUIRE(certs::write_atomically(pki / "apiserver.key", text_of(pki / "admin.key"), certs::private_mode));
  CHECK(world.run({"certs", "check", "a", "--output", "json"}) == 9);
  const auto told = boost::json::parse(world.out.str());
  CHECK(told.at("error").at("id").as_string() == "CertificatesExpire");
  REQUIRE(told.at("certificates").as_array().size() == 1);
  CHECK(told.at("certificates").at(0).at("problem").as_string() == "apiserver.key is not its key");
}

TEST_CASE("certs rotate makes every leaf anew under the same authorities, and restarts the process once") {
  World world;
  REQUIRE(world.run({"create", "a"}) == 0);
  const auto before = serials(world);
  const std::string user = text_of(world.kubeconfig());
  REQUIRE(world.run({"certs", "rotate", "a"}) == 0);
  const auto after = serials(world);
  REQUIRE(after.size() == before.size());
  for (const auto& [file, serial] : before) {
    INFO(file);
    CHECK((after.at(file) == serial) == is_authority(file));
  }
  CHECK(world.run({"certs", "check", "a"}) == 0);
  CHECK(world.process.restarted == 1);
  CHECK(world.run({"status", "a"}) == 0);
  // The user's own file has the new key, and so has the cluster's.
  CHECK(text_of(world.kubeconfig()) != user);
  const std::string own = text_of(world.home() / "clusters/a/kubeconfig");
  const auto data = own.substr(own.find("client-key-data: ") + 17, 100);
  CHECK(contains(text_of(world.kubeconfig()), data));
}

TEST_CASE("certs rotate leaves the user's current context, and adds none that was taken out") {
  World world;
  REQUIRE(world.run({"create", "a"}) == 0);
  REQUIRE(world.run({"create", "b"}) == 0);
  REQUIRE(world.run({"certs", "rotate", "a"}) == 0);
  CHECK(contains(text_of(world.kubeconfig()), "current-context: \"rusternetes-b\""));
  REQUIRE(world.run({"kubeconfig", "remove", "a"}) == 0);
  const std::string without = text_of(world.kubeconfig());
  REQUIRE(world.run({"certs", "rotate", "a"}) == 0);
  CHECK(text_of(world.kubeconfig()) == without);
}

TEST_CASE("a stopped cluster gets new certificates without a process to restart") {
  World world;
  REQUIRE(world.run({"create", "a"}) == 0);
  REQUIRE(world.run({"stop", "a"}) == 0);
  const auto before = serials(world);
  REQUIRE(world.run({"certs", "rotate", "a"}) == 0);
  CHECK(world.process.restarted == 0);
  CHECK(serials(world).at("apiserver.crt") != before.at("apiserver.crt"));
  REQUIRE(world.run({"start", "a"}) == 0);
}

TEST_CASE("a user's kubeconfig that cannot be changed keeps the old certificate, and nothing fails") {
  World world;
  REQUIRE(world.run({"create", "a"}) == 0);
  std::ofstream(world.kubeconfig()) << "clusters: text\n";
  CHECK(world.run({"certs", "rotate", "a"}) == 0);
  CHECK(contains(world.err.str(), "keeps the old certificate"));
  CHECK(text_of(world.kubeconfig()) == "clusters: text\n");
}

TEST_CASE("restart ends the process and leaves its Pods, and a stopped cluster has none") {
  World world;
  REQUIRE(world.run({"create", "a"}) == 0);
  const auto before = serials(world);
  REQUIRE(world.run({"restart", "a"}) == 0);
  CHECK(world.process.restarted == 1);
  CHECK(world.engine.stopped.empty());
  CHECK(serials(world) == before);
  CHECK(contains(world.out.str(), "Its Pods ran on"));
  REQUIRE(world.run({"restart", "a", "--dry-run"}) == 0);
  CHECK(world.process.restarted == 1);
  REQUIRE(world.run({"stop", "a"}) == 0);
  CHECK(world.run({"restart", "a"}) == 9);
  CHECK(contains(world.err.str(), "rusternetes-ctl start"));
}
