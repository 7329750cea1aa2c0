//! Objects as this client reads them.

use driftline_core::Result;
use driftline_fiddler_api::v3::{
    AlertRule, Baseline, BaselineType, Environment, EnvironmentRef, EnvironmentType, JobRef,
    Metric, MetricGroup, Model, ModelRef, Named, Project, User,
};
use driftline_fiddler_api::{AlertRecord, Field, JobStatus, Severity, parse};
use serde_json::Map;
use uuid::Uuid;

use crate::domain::alerts::{self, Record, Rule};
use crate::domain::catalog::Documents;
use crate::domain::jobs::{Job, Status};
use crate::domain::objects::{self, BASELINE, BaselineKind, EnvironmentKind};
use crate::domain::{error, times};
use crate::http::app::App;

const ORGANIZATION: &str = "driftline";

/// The one organisation.
pub(crate) fn organization(app: &App) -> Named {
    Named {
        id: app.organization,
        name: ORGANIZATION.to_owned(),
    }
}

/// The one user.
pub(crate) fn user() -> User {
    User {
        id: Uuid::new_v5(&Uuid::NAMESPACE_OID, b"driftline user"),
        full_name: "Local user".to_owned(),
        email: "user@localhost".to_owned(),
    }
}

pub(crate) fn project(app: &App, project: &objects::Project) -> Project {
    Project {
        id: project.id,
        name: project.name.clone(),
        organization: organization(app),
        created_at: times::text(project.created_at),
        updated_at: times::text(project.updated_at),
    }
}

fn project_of(model: &objects::Model) -> Named {
    Named {
        id: model.project,
        name: model.project_name.clone(),
    }
}

/// How other objects refer to a model.
pub(crate) fn model_of(model: &objects::Model) -> ModelRef {
    ModelRef {
        id: model.id,
        name: model.name.clone(),
        version: model.version.clone(),
    }
}

pub(crate) fn model(app: &App, model: &objects::Model) -> Result<Model> {
    Ok(Model {
        id: model.id,
        name: model.name.clone(),
        version: model.version.clone(),
        project: project_of(model),
        organization: organization(app),
        artifact_status: "no_model".to_owned(),
        artifact_files: Vec::new(),
        is_binary_ranking_model: false,
        created_at: times::text(model.created_at),
        updated_at: times::text(model.updated_at),
        created_by: user(),
        updated_by: user(),
        definition: parse(model.definition.clone()).map_err(error::internal)?,
    })
}

fn kind_of(environment: &objects::Environment) -> EnvironmentType {
    match environment.kind {
        EnvironmentKind::Production => EnvironmentType::Production,
        EnvironmentKind::PreProduction => EnvironmentType::PreProduction,
    }
}

pub(crate) fn environment(
    app: &App,
    environment: &objects::Environment,
    model: &objects::Model,
    rows: Option<u64>,
) -> Environment {
    Environment {
        id: environment.id,
        name: environment.name.clone(),
        kind: kind_of(environment),
        row_count: rows,
        model: model_of(model),
        project: project_of(model),
        organization: organization(app),
    }
}

pub(crate) fn baseline(
    app: &App,
    baseline: &objects::Baseline,
    model: &objects::Model,
    environment: &objects::Environment,
    rows: Option<u64>,
) -> Baseline {
    Baseline {
        id: baseline.id,
        name: baseline.name.clone(),
        kind: match baseline.kind {
            BaselineKind::Static => BaselineType::Static,
            BaselineKind::Rolling => BaselineType::Rolling,
        },
        start_time: baseline.start_time,
        end_time: baseline.end_time,
        offset_delta: baseline.offset_delta,
        window_bin_size: baseline.window_bin_size.clone(),
        row_count: rows,
        model: model_of(model),
        project: project_of(model),
        organization: organization(app),
        environment: EnvironmentRef {
            id: environment.id,
            name: environment.name.clone(),
            kind: kind_of(environment),
        },
        created_at: times::text(baseline.created_at),
        updated_at: times::text(baseline.updated_at),
    }
}

/// A job that was begun.
pub(crate) fn job_of(job: &Job) -> JobRef {
    JobRef {
        id: job.id,
        name: job.name.clone(),
    }
}

/// A job as clients of generations 2 and 3 read it.
pub(crate) fn job(job: &Job) -> driftline_fiddler_api::Job {
    driftline_fiddler_api::Job {
        id: job.id.into(),
        uuid: job.id.into(),
        name: job.name.clone().into(),
        info: Map::new().into(),
        status: match job.status {
            Status::Pending => JobStatus::Pending,
            Status::Started => JobStatus::Started,
            Status::Success => JobStatus::Success,
            Status::Failure => JobStatus::Failure,
        },
        progress: job.progress.into(),
        error_reason: job.error_reason.clone().into(),
        error_message: job.error_message.clone().into(),
        extras: Map::new().into(),
    }
}

/// A metric as clients read it.
pub(crate) fn metric(metric: driftline_metrics::Metric) -> Metric {
    let group = match metric.group() {
        driftline_metrics::MetricGroup::Drift => MetricGroup::Drift,
        driftline_metrics::MetricGroup::DataIntegrity => MetricGroup::DataIntegrity,
        driftline_metrics::MetricGroup::Performance => MetricGroup::Performance,
        driftline_metrics::MetricGroup::ServiceMetrics => MetricGroup::ServiceMetrics,
        driftline_metrics::MetricGroup::Statistic => MetricGroup::Statistic,
    };
    Metric {
        id: metric.name().to_owned(),
        name: metric.title().to_owned().into(),
        display_name: metric.title().to_owned(),
        group,
        type_display_name: group.title().to_owned(),
    }
}

/// An alert rule as this client reads it.
pub(crate) fn alert_rule(documents: &Documents<'_>, rule: &Rule) -> Result<AlertRule> {
    let terms = &rule.terms;
    let model = objects::model(documents, terms.model_id)?;
    let baseline = match terms.baseline_id {
        Some(id) => documents.get::<objects::Baseline>(BASELINE, id)?,
        None => None,
    };
    Ok(AlertRule {
        id: rule.id,
        name: terms.name.clone(),
        priority: terms.priority,
        compare_to: terms.compare_to,
        condition: terms.condition,
        bin_size: terms.bin_size.name().to_owned(),
        threshold_type: terms.threshold_type,
        auto_threshold_params: terms.auto_threshold_params,
        critical_threshold: terms.critical_threshold,
        warning_threshold: terms.warning_threshold,
        feature_names: terms.feature_names.clone(),
        compare_bin_delta: terms.compare_bin_delta,
        evaluation_delay: terms.evaluation_delay.unwrap_or(0),
        category: terms.category.clone(),
        metric: metric(terms.metric()?),
        model: model_of(&model),
        project: project_of(&model),
        baseline: baseline.map(|baseline| Named {
            id: baseline.id,
            name: baseline.name,
        }),
        segment: None,
        created_at: rule.created_at.to_string(),
        updated_at: rule.updated_at.to_string(),
    })
}

/// An alert as clients of all generations read it; `number` is its place among those of its rule.
pub(crate) fn alert_record(record: &Record, number: u64) -> AlertRecord {
    let finding = &record.finding;
    AlertRecord {
        id: number,
        uuid: record.id,
        alert_config_uuid: record.rule,
        alert_config_revision: record.revision,
        alert_run_start_time: record.updated_at.as_millisecond(),
        alert_time_bucket: finding.bin,
        alert_value: finding.value,
        warning_threshold: finding.warning,
        critical_threshold: Some(finding.critical),
        baseline_time_bucket: finding.earlier.map(|(bin, _)| bin),
        baseline_value: finding.earlier.map(|(_, value)| value),
        is_alert: true,
        severity: Some(match finding.severity {
            alerts::Severity::Warning => Severity::Warning,
            alerts::Severity::Critical => Severity::Critical,
        }),
        failure_reason: "NA".to_owned(),
        message: String::new(),
        feature_name: finding.column.clone(),
        alert_record_main_version: 1,
        alert_record_sub_version: record.version,
        created_at: record.created_at.to_string(),
        updated_at: record.updated_at.to_string(),
        multi_col_values: Field::Null,
    }
}
