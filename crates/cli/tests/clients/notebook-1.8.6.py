"""Monitoring images, with the first generation of Fiddler's client: `notebook-1.8.6.py URL TOKEN FOLDER`.

It knows no vectors: an embedding is a scalar column for each of its values, joined again by a custom feature.
"""

import fiddler as fdl
from fiddler.v2.utils.exceptions import FiddlerAPIConflictException

import rows

PROJECT, DATASET, MODEL = "notebook_v1", "cifar10_baseline", "resnet18"

url, token, data = rows.arguments()
client = fdl.FiddlerApi(url=url, org_id=rows.ORGANISATION, auth_token=token)

if PROJECT not in client.list_projects():
    client.create_project(PROJECT)

baseline = rows.columns(data.baseline)
embedding = [name for name in baseline.columns if name.startswith("emb_")]
info = fdl.DatasetInfo.from_dataframe(baseline, max_inferred_cardinality=100)
client.upload_dataset(
    project_id=PROJECT, dataset={"baseline": baseline}, dataset_id=DATASET, info=info
)

model_info = fdl.ModelInfo.from_dataset_info(
    dataset_info=info,
    dataset_id=DATASET,
    features=embedding,
    target="target",
    outputs=data.classes,
    metadata_cols=["image_url"],
    custom_features=[
        fdl.CustomFeature.from_columns(embedding, custom_name="image_feature", n_clusters=5)
    ],
    model_task=fdl.ModelTask.MULTICLASS_CLASSIFICATION,
    categorical_target_class_details=data.classes,
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
            batch_source=rows.columns(day),
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
    client.v2.wait_for_job(job, interval=1)
late = rows.relabelled(data.days[0].iloc[5:6], data.classes).iloc[0]
updated = client.publish_event(
    project_id=PROJECT,
    model_id=MODEL,
    event={"target": late["target"]},
    event_id=late["event_id"],
    update_event=True,
)
assert updated == late["event_id"]

kept = client.get_model_info(PROJECT, MODEL)
assert kept.target_class_order == data.classes
assert kept.custom_features[0].columns == embedding

try:
    client.create_project(PROJECT)
except FiddlerAPIConflictException as refusal:
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
    baselines=[item.name for item in client.list_baselines(PROJECT, MODEL)],
    conflict=conflict,
)
