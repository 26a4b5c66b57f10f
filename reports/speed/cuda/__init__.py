"""The rows of ``kernelproof bench`` that are measured on a GPU: work, rivals, timing by events. Only ``device`` needs one."""
