// support-bundle: one file with all that somebody needs to see what is wrong with a cluster, and no secret.
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "launcher/bundle/gather.h"
#include "launcher/failure.h"
#include "launcher/report.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;

Result<> run_bundle(Invocation& invocation) {
  // Without the lock: also beside a command that hangs, and an interrupted plan stays as it is.
  RN_TRY(auto session, Session::open(invocation, Session::Access::look));
  RN_TRY(const ClusterSettings settings, session->cluster(invocation.name));
  const SystemTime now = invocation.environment.clock.now();
  std::string date = date_text(now);
  std::erase_if(date, [](char c) { return c == '-' || c == ':'; });
  const std::string folder = fmt::format("rusternetes-{}-{}", settings.name, date);
  const fs::path file = fs::absolute(invocation.text("--file", folder + ".tar.zst"));
  std::error_code ignored;
  if (fs::exists(file, ignored))
    return failure("BadRequest", fmt::format("--file {} exists and is not written over", file.string()));
  const Context context = session->context(settings);
  const bundle::Bundle bundle = bundle::gather(invocation, *session, context);
  RN_CHECK(bundle::write_archive(file, folder, bundle.entries, now));
  std::string text = fmt::format(
      "{} has {} files about cluster \"{}\", without its secrets. Look through it "
      "before you give it away.\n",
      file.string(), bundle.entries.size(), settings.name);
  boost::json::array missing;
  for (const std::string& one : bundle.missing) {
    text += "  missing: " + one + "\n";
    missing.emplace_back(one);
  }
  invocation.print(text, boost::json::serialize(boost::json::object{{"file", file.string()},
                                                                    {"entries", bundle.entries.size()},
                                                                    {"missing", std::move(missing)}}) +
                             "\n");
  return {};
}

}  // namespace

Command support_bundle_command() {
  return {.word = "support-bundle",
          .subword = "",
          .summary = "Write what is known about a cluster into one file, without secrets.",
          .examples =
              "rusternetes-ctl support-bundle\n"
              "rusternetes-ctl support-bundle dev --file /tmp/dev.tar.zst",
          .flags = {{"--file", "FILE", "the archive (rusternetes-NAME-TIME.tar.zst in this folder)"}},
          .run = run_bundle};
}

}  // namespace rusternetes::launcher
