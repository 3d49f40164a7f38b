//! Schedules of a coordinator.

use assay_coordinator::api::document::Page;
use assay_coordinator::schedule::NewSchedule;
use assay_coordinator::schedule::document::{FiredDocument, ScheduleDocument};
use reqwest::Method;
use serde_json::json;

use super::{Client, ClientError};

impl Client {
    /// Every schedule.
    pub(crate) async fn schedules(&self) -> Result<Vec<ScheduleDocument>, ClientError> {
        let page: Page<ScheduleDocument> = self.json(self.http.get(self.beneath(&["schedules"]))).await?;
        Ok(page.items)
    }

    /// A schedule with its latest sweeps.
    pub(crate) async fn schedule(&self, name: &str) -> Result<ScheduleDocument, ClientError> {
        self.json(self.http.get(self.beneath(&["schedules", name]))).await
    }

    /// Adds a schedule whose files were uploaded before.
    pub(crate) async fn add_schedule(&self, new: &NewSchedule) -> Result<ScheduleDocument, ClientError> {
        let body = json!({
            "name": new.name, "suite": new.suite, "cron": new.cron, "time_zone": new.zone, "channels": new.channels,
            "clean_sweeps": new.clean_sweeps,
        });
        self.post(&["schedules"], &body).await
    }

    /// Pauses or resumes a schedule.
    pub(crate) async fn change_schedule(
        &self,
        name: &str,
        action: &str,
    ) -> Result<ScheduleDocument, ClientError> {
        self.post(&["schedules", name, action], &json!({})).await
    }

    /// Fires a schedule.
    pub(crate) async fn fire_schedule(&self, name: &str) -> Result<FiredDocument, ClientError> {
        self.post(&["schedules", name, "run"], &json!({})).await
    }

    /// Removes a schedule.
    pub(crate) async fn remove_schedule(&self, name: &str) -> Result<ScheduleDocument, ClientError> {
        self.json(self.http.request(Method::DELETE, self.beneath(&["schedules", name]))).await
    }
}
