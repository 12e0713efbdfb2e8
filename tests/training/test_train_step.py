"""The shared train step: normalisation over replicas, dropout's seeds, agreement of devices."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from bert_keras.layers import kernels
from bert_keras.optimization import AdamW, WarmupDecay
from bert_keras.training.train_step import dropout_seed
from tests import small, small_pretraining


def _train(strategy, batches, dropout=0.0, clip_norm=1.0):
    """Weights after one update per batch, and the sum over replicas of the last loss."""
    with strategy.scope():
        # The published spread: larger weights let rounding grow beyond the bound below.
        task = small.classifier(dropout, initializer_range=0.02)
        optimizer = AdamW(1e-4, clip_norm=clip_norm)
        optimizer.build(task.trainable_variables)
        task.compile(optimizer=optimizer)
    spec = tf.TensorSpec([None, None], tf.int32)
    names = ("token_ids", "segment_ids", "padding_mask")
    signature = ({name: spec for name in names}, tf.TensorSpec([None], tf.int32))
    dataset = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=signature)

    @tf.function
    def step(iterator):
        strategy.run(lambda features, labels: task.update(features, labels), next(iterator))

    iterator = iter(strategy.experimental_distribute_dataset(dataset))
    for _ in batches:
        step(iterator)
    return [np.asarray(tf.convert_to_tensor(weight.value)) for weight in task.weights]


def _batches(sizes) -> list:
    task = small.classifier()
    texts, labels = small.sentences(sum(sizes), seed=4)
    encoded = task.encode(texts)
    ids = np.asarray([small.LABELS.index(label) for label in labels], np.int32)
    order = np.split(np.arange(len(ids)), np.cumsum(sizes)[:-1])
    return [(encoded.batch(part), ids[part]) for part in order]


def _largest_difference(one, two) -> float:
    return max(np.abs(a - b).max() for a, b in zip(one, two, strict=True))


@pytest.mark.slow
def test_twenty_steps_on_two_replicas_equal_one_device(two_replicas):
    batches = _batches([16] * 20)
    alone = _train(tf.distribute.get_strategy(), batches)
    start = [
        np.asarray(weight.value) for weight in small.classifier(0.0, initializer_range=0.02).weights
    ]
    assert _largest_difference(alone, start) > 1e-3
    assert _largest_difference(_train(two_replicas, batches), alone) < 1e-6


@pytest.mark.parametrize("sizes", [[5, 3], pytest.param([1, 7], marks=pytest.mark.slow)])
def test_uneven_and_even_empty_parts_are_weighted_by_examples(two_replicas, sizes):
    batches = _batches(sizes)
    alone = _train(tf.distribute.get_strategy(), batches)
    assert _largest_difference(_train(two_replicas, batches), alone) < 1e-6


@pytest.mark.slow
def test_dropout_differs_between_steps_and_replicas_and_repeats_with_the_seed(two_replicas):
    def seeds(step):
        values = two_replicas.run(lambda: dropout_seed(7, step))
        return [tuple(v.numpy()) for v in two_replicas.experimental_local_results(values)]

    first, second = seeds(0), seeds(1)
    assert len({*first, *second}) == 4
    assert seeds(0) == first
    batches = _batches([8, 8])
    strategy = tf.distribute.get_strategy()
    assert _largest_difference(_train(strategy, batches, 0.1), _train(strategy, batches, 0.1)) == 0
    assert _largest_difference(_train(strategy, batches, 0.1), _train(strategy, batches)) > 1e-6


def _pretrain(strategy, batch, micro_batches, static=True):
    """Weights and the sums over replicas of the loss terms after one update."""
    with strategy.scope():
        task = small_pretraining.pretrainer()
        # So large a step that a wrong gradient shows, and no normalisation of it by Adam.
        optimizer = AdamW(1e-2, epsilon=1.0)
        optimizer.build(task.trainable_variables)
        task.compile(optimizer=optimizer)
    size = len(batch["token_ids"]) // strategy.num_replicas_in_sync
    signature = small_pretraining.signature(size if static else None)

    def part(context):
        first = context.replica_id_in_sync_group * size
        return {name: tf.constant(v[first : first + size]) for name, v in batch.items()}

    def replica_step(features):
        if not static:
            features = {k: tf.ensure_shape(v, signature[k].shape) for k, v in features.items()}
        terms = task.update(features, micro_batches=micro_batches).terms
        return {name: (one.total, one.weight, one.correct) for name, one in terms.items()}

    @tf.function
    def step(features):
        sums = strategy.run(replica_step, args=(features,))
        return tf.nest.map_structure(lambda x: strategy.reduce("SUM", x, axis=None), sums)

    parts = strategy.experimental_distribute_values_from_function(part)
    return small_pretraining.weights(task), tf.nest.map_structure(float, step(parts)), task


def _uneven_batch() -> dict[str, np.ndarray]:
    """Eight rows with 0 to 4 masked tokens each, and sentence pairs that do not all count."""
    batch = small_pretraining.features(8, seed=2)
    counts = batch["mask_weights"].sum(1)
    assert len(set(counts.reshape(4, 2).sum(1))) > 2
    batch["next_sentence_weights"][[1, 2, 6]] = 0
    return batch


@pytest.mark.parametrize(
    ("replicas", "micro_batches"), [pytest.param(1, 4, marks=pytest.mark.slow), (2, 2)]
)
def test_micro_batches_give_the_update_of_one_pass(two_replicas, micro_batches, replicas):
    batch, alone = _uneven_batch(), tf.distribute.get_strategy()
    _, terms, whole = _pretrain(alone, batch, 1)
    strategy = two_replicas if replicas == 2 else alone
    _, own_terms, task = _pretrain(strategy, batch, micro_batches)
    one, two = small_pretraining.weights(whole), small_pretraining.weights(task)
    assert _largest_difference(one, two) < 2e-7
    start = small_pretraining.weights(small_pretraining.pretrainer())
    assert _largest_difference(one, start) > 1e-4
    for name, values in terms.items():
        assert own_terms[name] == pytest.approx(values, rel=1e-6), name
    assert terms["mlm"][1] == batch["mask_weights"].sum() and terms["nsp"][1] == 5


@pytest.mark.slow
def test_micro_batches_of_a_batch_of_unknown_size():
    batch, alone = _uneven_batch(), tf.distribute.get_strategy()
    one = small_pretraining.weights(_pretrain(alone, batch, 1)[2])
    two = small_pretraining.weights(_pretrain(alone, batch, 2, static=False)[2])
    assert _largest_difference(one, two) < 2e-7


def test_a_batch_that_cannot_be_cut_is_refused():
    with pytest.raises(ValueError, match="of a replica, 8, cannot be cut into 3 equal parts"):
        _pretrain(tf.distribute.get_strategy(), _uneven_batch(), 3)


def test_each_micro_batch_has_its_own_dropout():
    task = small_pretraining.pretrainer(dropout=0.5)
    task.compile(AdamW(0.0))
    task.optimizer.build(task.trainable_variables)
    one = small_pretraining.features(1)
    one["mask_weights"][:] = 1
    two = {name: tf.constant(np.repeat(value, 2, axis=0)) for name, value in one.items()}
    own = [
        task.compute_step(
            {**one, "dropout_seed": kernels.fold_seed(dropout_seed(3, 0), part)}, training=True
        )
        for part in range(2)
    ]
    totals = [float(result.terms["mlm"].total) for result in own]
    assert abs(totals[0] - totals[1]) > 1e-4
    found = task.update(two, micro_batches=2).terms["mlm"].total
    assert float(found) == pytest.approx(sum(totals), rel=1e-6)


def _graphs(graph):
    """A graph and those of its loops, branches and calls."""
    yield graph
    for operation in graph.get_operations():
        for name, attribute in operation.node_def.attr.items():
            inner = attribute.func.name
            if inner and name in ("body", "cond", "then_branch", "else_branch", "f"):
                yield from _graphs(graph._get_function(inner).graph)


@pytest.mark.parametrize(("dtype", "micro_batches"), [("float32", 2), ("mixed_bfloat16", 1)])
def test_the_pretraining_step_has_static_shapes_and_narrow_inputs(dtype, micro_batches):
    task = small_pretraining.pretrainer(dropout=0.1, dtype=dtype)
    task.compile(AdamW(WarmupDecay(1e-4, 100)))
    task.optimizer.build(task.trainable_variables)

    @tf.function
    def step(features):
        terms = task.update(features, micro_batches=micro_batches).terms
        return {name: one.total for name, one in terms.items()}

    concrete = step.get_concrete_function(small_pretraining.signature(4))
    graphs = list(_graphs(concrete.graph))
    assert len(graphs) >= micro_batches
    given = concrete.structured_input_signature[0][0].values()
    assert {spec.dtype for spec in given} == {tf.int32, tf.float32}
    open_shapes = [
        f"{tensor.op.type} {tensor.name} {tensor.shape}"
        for graph in graphs
        for operation in graph.get_operations()
        for tensor in operation.outputs
        # Lists and handles of variables have no shape of their own, nor have the places that a
        # loop's condition keeps for what only its body reads.
        if tensor.dtype not in (tf.variant, tf.resource) and tensor.consumers()
        if tensor.shape.rank != 0 and not tensor.shape.is_fully_defined()
    ]
    assert not open_shapes, "\n".join(open_shapes)
    wide = [
        tensor.name
        for graph in graphs
        for operation in graph.get_operations()
        for tensor in operation.outputs
        if tensor.dtype in (tf.string, tf.float64)
        or (tensor.dtype == tf.int64 and tensor.shape.rank)
    ]
    assert not wide
