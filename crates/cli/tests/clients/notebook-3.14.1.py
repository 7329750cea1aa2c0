"""Monitoring images, with the third generation of Fiddler's client: `notebook-3.14.1.py URL TOKEN FOLDER`."""

import fiddler as fdl

import rows

url, token, data = rows.arguments()
fdl.init(url=url, token=token)

project = fdl.Project.get_or_create(name="notebook_v3")
again = fdl.Project.get_or_create(name="notebook_v3")
assert again.id == project.id

sample = data.baseline
model = fdl.Model.from_data(
    name="resnet18",
    project_id=project.id,
    source=sample,
    spec=fdl.ModelSpec(
        inputs=["embeddings"],
        outputs=data.classes,
        targets=["target"],
        metadata=["image_url"],
        custom_features=[
            fdl.ImageEmbedding(
                name="image_feature", source_column="image_url", column="embeddings", n_clusters=5
            )
        ],
    ),
    task=fdl.ModelTask.MULTICLASS_CLASSIFICATION,
    task_params=fdl.ModelTaskParams(target_class_order=data.classes),
    event_id_col="event_id",
    event_ts_col="timestamp",
)
model.create()
assert len(model.spec.custom_features[0].centroids) == 5

model.publish(
    source=sample, environment=fdl.EnvType.PRE_PRODUCTION, dataset_name="train_time_reference"
).wait(interval=1)

jobs = []
for number, day in enumerate(data.days):
    if number == 1:
        # Events one by one, as a service would send them.
        plain = day.astype({name: float for name in data.classes})
        ids = model.publish(source=plain.to_dict("records"))
        assert len(ids) == len(day)
    elif number == 2:
        path = data.folder / "day-for-v3.csv"
        day.to_csv(path, index=False)
        jobs.append(model.publish(source=path))
    else:
        jobs.append(model.publish(source=day))
for job in jobs:
    job.wait(interval=1)
    assert fdl.Job.get(job.id).status == fdl.JobStatus.SUCCESS

late = rows.relabelled(data.days[0].head(5), data.classes)
updated = model.publish(source=late.to_dict("records"), update=True)
assert len(updated) == len(late)

found = fdl.Model.from_name(name="resnet18", project_id=fdl.Project.from_name("notebook_v3").id)
assert found.id == model.id
assert found.task_params.target_class_order == data.classes
baseline = fdl.Baseline.from_name(name="train_time_reference", model_id=model.id)
dataset = fdl.Dataset.from_name(name="train_time_reference", model_id=model.id)
assert dataset.row_count == len(sample)
assert [item.name for item in model.baselines] == [baseline.name]

try:
    model.create()
except fdl.Conflict as refusal:
    conflict = str(refusal)
else:
    conflict = None

rows.report(
    project=project.name,
    model=model.name,
    baseline=baseline.name,
    projects=sorted(item.name for item in fdl.Project.list()),
    models=[item.name for item in project.models],
    conflict=conflict,
)
