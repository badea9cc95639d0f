# -*- coding: utf-8 -*-
"""A planner, a caller and a summarizer that solve tasks with tools together.

After "Small LLMs Are Weak Tool Learners: A Multi-LLM Agent" (alpha-UMi,
arXiv 2401.07324). AgentScope appears in `alpha_umi.agent*` alone.
"""
