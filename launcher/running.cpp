#include "launcher/running.h"

#include "launcher/report.h"

namespace rusternetes::launcher {

Result<OpenedCluster> open_cluster(Invocation& invocation) {
  OpenedCluster out;
  out.is_dry = invocation.has("--dry-run");
  RN_TRY(out.session,
         Session::open(invocation, out.is_dry ? Session::Access::look : Session::Access::change));
  RN_TRY(out.settings, out.session->cluster(invocation.name));
  RN_CHECK(out.session->check_recovered(out.settings.name));
  return out;
}

Result<OpenedCluster> open_running(Invocation& invocation) {
  RN_TRY(OpenedCluster out, open_cluster(invocation));
  if (!out.is_dry) RN_CHECK(check_runs(*out.session, *out.context()));
  return out;
}

}  // namespace rusternetes::launcher
