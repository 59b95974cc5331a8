//! Rules of DataFusion for physical plans, held back or made good where they are wrong.
//!
//! Conditions are not moved through joins whose columns share a name: the rule finds columns by name alone. And sorts that a plan needs: where
//! DataFusion took one away for an order that it later finds is not there, it comes back.
//!
//! Columns that are constant on one side of a join need no order there; above the join nobody knows that any more.

use super::filters_first::FiltersFirst;
use super::lazy::LazyLogic;
use super::partitions;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use std::collections::BTreeSet;
use std::sync::Arc;

/// DataFusion's rules, with ours before the one that refuses plans.
pub(super) fn rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    for rule in rules.iter_mut().filter(|rule| rule.name().starts_with("FilterPushdown")) {
        *rule = Arc::new(ByName { rule: Arc::clone(rule) });
    }
    let at = rules.iter().position(|rule| rule.name() == "SanityCheckPlan").unwrap_or(rules.len());
    // What filters say, and where they stand, decides what is known about the rows above them.
    rules.splice(at..at, [Arc::new(FiltersFirst) as Arc<dyn PhysicalOptimizerRule + Send + Sync>, Arc::new(LazyLogic), Arc::new(Sorted)]);
    rules
}

/// A rule that takes columns of one name for one column.
#[derive(Debug)]
struct ByName {
    rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>,
}

impl PhysicalOptimizerRule for ByName {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn schema_check(&self) -> bool {
        self.rule.schema_check()
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let twice = |node: &Arc<dyn ExecutionPlan>| {
            let mut names = BTreeSet::new();
            let columns = node.children().into_iter().map(|child| child.schema()).collect::<Vec<_>>();
            // Two inputs: a join, or a union, whose columns are one another's.
            columns.len() > 1 && !columns.iter().flat_map(|schema| schema.fields()).all(|field| names.insert(field.name()))
        };
        if plan.exists(|node| Ok(twice(node)))? { Ok(plan) } else { self.rule.optimize(plan, config) }
    }
}

#[derive(Debug)]
struct Sorted;

impl PhysicalOptimizerRule for Sorted {
    fn name(&self) -> &str {
        "sorted"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(plan.transform_up(sorted)?.data)
    }
}

fn sorted(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    if let Some(window) = partitions::ordered(&node)? {
        return Ok(Transformed::yes(window));
    }
    let mut children: Vec<Arc<dyn ExecutionPlan>> = node.children().into_iter().map(Arc::clone).collect();
    let mut changed = false;
    for (child, wanted) in children.iter_mut().zip(node.required_input_ordering()) {
        let Some(wanted) = wanted.map(|wanted| wanted.into_single()) else { continue };
        if child.equivalence_properties().ordering_satisfy_requirement(wanted.clone())? {
            continue;
        }
        let whole = child.output_partitioning().partition_count() == 1;
        *child = Arc::new(SortExec::new(LexOrdering::from(wanted), Arc::clone(child)).with_preserve_partitioning(!whole));
        changed = true;
    }
    if changed { Ok(Transformed::yes(replace_children_if_necessary(node, children)?)) } else { Ok(Transformed::no(node)) }
}
