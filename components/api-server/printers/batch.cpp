#include "api-server/printers/cells.h"
#include "api-server/printers/text.h"
#include "apimachinery/api/batch_v1.h"
#include "apimachinery/time.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

bool has_condition(const batch_v1::JobStatus& status, std::string_view type) {
  for (const auto condition : status.conditions())
    if (condition.type() == type) return condition.status() == "True";
  return false;
}

std::string_view job_state(const batch_v1::Job& job) {
  const auto status = job.status();
  if (has_condition(status, "Complete")) return "Complete";
  if (has_condition(status, "Failed")) return "Failed";
  if (job.metadata().has_deletionTimestamp()) return "Terminating";
  for (const std::string_view type : {"Suspended", "FailureTarget", "SuccessCriteriaMet"})
    if (has_condition(status, type)) return type;
  return "Running";
}

// "2/3"; without completions one is enough, of so many Pods at a time.
std::string completions_text(const batch_v1::Job& job) {
  const auto spec = job.spec();
  if (spec.has_completions()) return fmt::format("{}/{}", job.status().succeeded(), spec.completions());
  if (spec.parallelism() > 1) return fmt::format("{}/1 of {}", job.status().succeeded(), spec.parallelism());
  return fmt::format("{}/1", job.status().succeeded());
}

std::string job_duration(const batch_v1::JobStatus& status, std::int64_t now_us) {
  if (!status.has_startTime()) return {};
  const std::int64_t end_us = status.has_completionTime() ? status.completionTime() : now_us;
  return human_duration((end_us - status.startTime()) * 1000);
}

void print_job(Cells& cells, const Value& object, std::int64_t now_us) {
  const batch_v1::Job job(&object);
  const auto [names, images] = names_and_images(job.spec().template_().spec().containers());
  cells.text(job.metadata().name());
  cells.text(job_state(job));
  cells.text(completions_text(job));
  cells.text(job_duration(job.status(), now_us));
  cells.text(age_of(job.metadata().creationTimestamp(), now_us));
  cells.text(names);
  cells.text(images);
  cells.text(selector_or_none(job.spec().selector()));
}

void print_cron_job(Cells& cells, const Value& object, std::int64_t now_us) {
  const batch_v1::CronJob cron(&object);
  const auto spec = cron.spec();
  const auto job = spec.jobTemplate().spec();
  const auto [names, images] = names_and_images(job.template_().spec().containers());
  cells.text(cron.metadata().name());
  cells.text(spec.schedule());
  cells.text(spec.has_timeZone() ? spec.timeZone() : std::string_view("<none>"));
  cells.text(!spec.has_suspend() ? "<unset>" : spec.suspend() ? "True" : "False");
  cells.number(static_cast<std::int64_t>(cron.status().active().size()));
  cells.text(cron.status().has_lastScheduleTime() ? age_of(cron.status().lastScheduleTime(), now_us)
                                                  : "<none>");
  cells.text(age_of(cron.metadata().creationTimestamp(), now_us));
  cells.text(names);
  cells.text(images);
  cells.text(selector_or_none(job.selector()));
}

constexpr PrinterEntry printers[] = {{"batch", "", "jobs", print_job},
                                     {"batch", "", "cronjobs", print_cron_job}};

}  // namespace

std::span<const PrinterEntry> batch_printers() { return printers; }

}  // namespace rusternetes::api_server
