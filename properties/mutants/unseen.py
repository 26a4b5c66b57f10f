"""The wrong kernels of someone who had not seen the suite, as rows of the registry.

What it does: takes the kernels of ``unseen_*`` by their names, with the variants that their author gave. No row names a property in
advance: any property of its phase may convict it. ``SEEN_BY`` records, after the fact, one that does; it serves for the order of the search
and for nothing else. Guarantees: every kernel of those files is a row here or stands in ``WAITING`` with the reason.
Cannot see: whether a kernel is convicted for its own fault; its base, which is right, is acquitted in the tests.
"""

from __future__ import annotations

import re
from types import ModuleType

from kernelproof.properties.mutants import unseen_forward, unseen_forward_more, unseen_gradients, unseen_gradients_more
from kernelproof.properties.mutants.parts import Wrong
from kernelproof.properties.shapes import PHASES, vjp_of

FILES: tuple[ModuleType, ...] = (unseen_forward, unseen_forward_more, unseen_gradients, unseen_gradients_more)
_NAME = re.compile(rf"({'|'.join(sorted(PHASES, key=len, reverse=True))})_(vjp_)?(\w+)")

#: kernel -> a property that was seen to convict it; where nothing stands, the definition did
SEEN_BY: dict[str, str] = {
    "embedding_table_flattened_in_memory_order": "views_equal_copies",
    "softmax_exponents_clipped_at_minus_20": "permutation_equivariance",
    "softmax_subtracts_in_place": "inputs_unchanged",
    "attention_single_key_ignores_mask": "decoding_agrees",
    "feed_forward_bias_added_per_hidden_tile": "at_zero",
    "feed_forward_tensor_cores_when_aligned": "at_zero",
    "layer_norm_gain_along_tokens_when_square": "negative_scale",
    "rms_norm_returns_a_shared_buffer": "deterministic",
    "activation_silu_exp_over_one_plus_exp": "reflection",
    "activation_silu_in_memory_order": "views_equal_copies",
    "rotary_single_token_uses_halves": "paths_agree",
    "embedding_single_id_gives_a_matrix": "batch_independent",
    "attention_float_minus_infinity_row_gives_mean": "permutation_equivariance",
    "attention_tail_tile_without_rescaling": "row_sum_one",
    "attention_scales_q_and_scales_it_back": "inputs_unchanged",
    "encoder_block_folds_scale_into_params": "inputs_unchanged",
    "softmax_vjp_gives_float64": "shape_and_dtype",
    "layer_norm_vjp_vector_input_sums_channels": "gradient_input",
    "activation_vjp_relu_writes_grad_out": "inputs_unchanged",
    "activation_vjp_silu_overflows_left": "gradient_reflection",
    "embedding_ids_cast_to_int16": "ids_out_of_range",
    "embedding_rows_remembered_by_ids": "one_input_changed",
    "attention_three_axis_mask_taken_as_batch": "row_sum_one",
    "activation_relu_by_absolute_value": "whole_range",
    "attention_last_query_tile_counts_from_zero": "one_input_changed",
    "attention_vjp_zero_scale_means_default": "values_and_output",
}
#: kernels that the profile quick does not see within its examples
LONGER = frozenset(
    {
        "attention_channels_beyond_whole_tiles_dropped",
        "attention_last_query_tile_counts_from_zero",
        "embedding_last_lone_token_dropped",
        "encoder_block_vjp_keys_see_the_mask_only",
        "layer_norm_gain_along_tokens_when_square",
        "positional_start_rounded_to_the_tile",
        "softmax_lazy_rescale_forgets_old_maximum",
        "layer_norm_tail_block_counts_as_whole",
        "rms_norm_divides_by_padded_width",
        "encoder_block_residual_lost_after_128_tokens",
        "softmax_vjp_inner_product_of_first_128",
    }
)
#: kernels that cannot be run, with the reason
WAITING: dict[str, str] = {}


def _rows(module: ModuleType) -> list[Wrong]:
    rows = []
    for name, function in vars(module).items():
        found = _NAME.fullmatch(name)
        if found is None:
            continue
        phase, vjp, title = found.groups()
        rows.append(
            Wrong(
                id=title.replace("_", " "),
                phase=vjp_of(phase) if vjp else phase,
                reference="unseen",
                function=function,
                names=(),
                variant=module.VARIANTS.get(name, {}),
                profile="standard" if name in LONGER else "quick",
                seen_by=SEEN_BY.get(name, ""),
            )
        )
    return rows


ALL: tuple[Wrong, ...] = tuple(row for module in FILES for row in _rows(module))
WRONG: tuple[Wrong, ...] = tuple(row for row in ALL if row.function.__name__ not in WAITING)
