"""Monitoring images, with the second generation of Fiddler's client: `notebook-2.5.0.py URL TOKEN FOLDER`."""

import fiddler as fdl
from fiddler.exceptions import Conflict

import rows

PROJECT, DATASET, MODEL = "notebook_v2", "cifar10_baseline", "resnet18"

url, token, data = rows.arguments()
client = fdl.FiddlerApi(url=url, org_id=rows.ORGANISATION, auth_token=token)

if PROJECT not in client.list_projects():
    client.create_project(PROJECT)

baseline = data.baseline
info = fdl.DatasetInfo.from_dataframe(baseline, max_inferred_cardinality=100)
client.upload_dataset(
    project_id=PROJECT, dataset={"baseline": baseline}, dataset_id=DATASET, info=info
)

model_info = fdl.ModelInfo.from_dataset_info(
    dataset_info=info,
    dataset_id=DATASET,
    features=["embeddings"],
    target="target",
    outputs=data.classes,
    metadata_cols=["image_url"],
    custom_features=[
        fdl.ImageEmbedding(
            name="image_feature", source_column="image_url", column="embeddings", n_clusters=5
        )
    ],
    model_task=fdl.ModelTask.MULTICLASS_CLASSIFICATION,
    categorical_target_class_details=data.classes,
    description="Classes of small pictures",
)
client.add_model(
    project_id=PROJECT, model_id=MODEL, dataset_id=DATASET, model_info=model_info
)

jobs = []
for day in data.days:
    jobs.append(
        client.publish_events_batch(
            project_id=PROJECT,
            model_id=MODEL,
            batch_source=day,
            id_field="event_id",
            timestamp_field="timestamp",
        )["job_uuid"]
    )
jobs.append(
    client.publish_events_batch(
        project_id=PROJECT,
        model_id=MODEL,
        batch_source=rows.relabelled(data.days[0].head(5), data.classes),
        id_field="event_id",
        update_event=True,
    )["job_uuid"]
)
for job in jobs:
    client.wait_for_job(job, interval=1)
late = rows.relabelled(data.days[0].iloc[5:6], data.classes).iloc[0]
updated = client.publish_event(
    project_id=PROJECT,
    model_id=MODEL,
    event={"target": late["target"]},
    event_id=late["event_id"],
    update_event=True,
)
assert updated == late["event_id"]

assert client.get_dataset(PROJECT, DATASET).info.columns[0].name == "embeddings"
kept = client.get_model_info(PROJECT, MODEL)
assert kept.target_class_order == data.classes
assert kept.custom_features[0].n_clusters == 5
client.add_baseline(
    project_id=PROJECT,
    model_id=MODEL,
    baseline_id="first_week",
    type=fdl.BaselineType.STATIC_PRODUCTION,
    start_time=rows.FIRST_DAY // 1000,
    end_time=(rows.FIRST_DAY + 7 * rows.DAY) // 1000,
)

try:
    client.create_project(PROJECT)
except Conflict as refusal:
    conflict = str(refusal)
else:
    conflict = None

rows.report(
    project=PROJECT,
    model=MODEL,
    baseline=DATASET,
    projects=sorted(client.list_projects()),
    models=client.list_models(PROJECT),
    datasets=client.list_datasets(PROJECT),
    baselines=sorted(client.list_baselines(PROJECT, MODEL)),
    conflict=conflict,
)
